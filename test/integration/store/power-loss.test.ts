/** Power loss during every command that promises to be there afterwards, and just after it. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { sweepContainers } from '../../../src/containers/remove.ts';
import { exportSnapshot } from '../../../src/images/export.ts';
import { listMounts, mountImage } from '../../../src/images/mount.ts';
import { listPins } from '../../../src/images/pins.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { createLauncher } from '../../../src/launch/create-launcher.ts';
import type { Container } from '../../../src/launch/launcher.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { collect } from '../../support/collect.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { powerScenes, powerWhileRunning } from '../../support/power-rig.ts';
import { program, programPath } from '../../support/requires.ts';
import { type Step, startStoreChild } from '../../support/run-store-child.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

let registry: LayoutRegistry;
let directory: TempDir;
let image: string;
let other: string;
/** What both are made of. */
let base: string;
/** An archive of `image`, and a tar of a system. */
let archive: string;
let system: string;

before(async () => {
  directory = tempDir('power-loss');
  registry = await layoutRegistry();
  const bottom = { 'etc/motd': 'hello'.repeat(1000) };
  const first = await addImage(registry.content, [bottom, { one: '1'.repeat(50_000) }]);
  const second = await addImage(registry.content, [bottom, { two: '2' }]);
  const third = await addImage(registry.content, [bottom]);
  registry.publish({ 'app:1': first.root, 'app:2': second.root, 'base:1': third.root });
  [image, other, base] = [`${registry.host}/app:1`, `${registry.host}/app:2`, `${registry.host}/base:1`];
  archive = `${directory.path}/app.tar`;
  const steps: Step[] = [
    ['pull', image],
    ['save', image, 'oci-archive', archive],
  ];
  await startStoreChild({ store: { root: `${directory.path}/store` }, steps }).result;
  if (programPath('busybox') !== undefined) system = makeBusyboxTar(directory.path);
});

after(async () => {
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const BOTH = (): readonly Step[] => [
  ['pull', other],
  ['pull', image],
];

const WRITTEN = (): readonly Step[] => [
  ['pull', image],
  ['mount', image, 'work'],
  ['write', 'work', 'etc/motd', 'changed'],
];

function hasImage({ metadata }: OpenStore, name: string): void {
  const found = metadata.images.list().some((row) => row.name === name || row.name.endsWith(`/${name}`));
  assert.ok(found, `no ${name} among ${metadata.images.list().map((row) => row.name)}`);
}

async function readsChange(store: OpenStore): Promise<void> {
  const [mount] = await listMounts(store);
  const { target } = mount?.state === 'mounted' ? mount : await mountImage(store, image, { name: 'work' });
  assert.equal(readFileSync(join(target, 'etc/motd'), 'utf8'), 'changed');
}

powerScenes({ name: 'power loss while images come and go', needs: [program('busybox')] }, [
  ...['erofs', 'overlayfs'].map((driver) => ({
    command: 'pull',
    driver,
    before: (): readonly Step[] => [['pull', other]],
    steps: (): readonly Step[] => [['pull', image]],
    reported: ({ metadata }: OpenStore) => assert.ok(metadata.images.get(image)?.unpacked),
  })),
  {
    command: 'rmi',
    before: BOTH,
    steps: () => [['rmi', image]],
    done: 'NOT_FOUND',
    reported: ({ metadata }) => assert.equal(metadata.images.get(image), undefined),
  },
  {
    command: 'tag',
    before: BOTH,
    steps: () => [['tag', image, 'mine']],
    reported: (store) => hasImage(store, 'mine:latest'),
  },
  { command: 'load', before: BOTH, steps: () => [['load', archive]], reported: (store) => hasImage(store, 'app:1') },
  {
    command: 'import',
    driver: 'overlayfs',
    before: BOTH,
    steps: () => [['import', system, 'made:1']],
    reported: (store) => hasImage(store, 'made:1'),
  },
  {
    command: 'commit',
    before: WRITTEN,
    steps: () => [['commit', 'work', 'made:1']],
    reported: (store) => hasImage(store, 'made:1'),
  },
  {
    command: 'squash',
    before: BOTH,
    steps: () => [['squash', image, 'made:1']],
    reported: (store) => hasImage(store, 'made:1'),
  },
  {
    command: 'build',
    before: BOTH,
    steps: () => [['build', 'made:1']],
    reported: (store) => hasImage(store, 'made:1'),
  },
  {
    command: 'rebase',
    before: () => [...BOTH(), ['pull', base]],
    steps: () => [['rebase', image, other, 'made:1']],
    reported: (store) => hasImage(store, 'made:1'),
  },
]);

powerScenes({ name: 'power loss while the store is used and kept in order' }, [
  {
    command: 'mount, and what was written and synced',
    before: () => [['pull', image]],
    steps: () => [
      ['mount', image, 'work'],
      ['write', 'work', 'etc/motd', 'changed'],
    ],
    done: 'ALREADY_EXISTS',
    reported: readsChange,
  },
  {
    command: 'umount',
    before: WRITTEN,
    steps: () => [['umount', 'work']],
    done: 'NOT_FOUND',
    reported: ({ metadata }) => assert.equal(metadata.snapshots.get('work'), undefined),
  },
  {
    command: 'pin',
    before: () => [['pull', image]],
    steps: () => [['pin', image, 'kept']],
    done: 'ALREADY_EXISTS',
    reported: (store) => assert.equal(listPins(store).length, 1),
  },
  {
    command: 'unpin',
    before: () => [
      ['pull', image],
      ['pin', image, 'kept'],
    ],
    steps: () => [['unpin', 'kept']],
    done: 'NOT_FOUND',
    reported: (store) => assert.equal(listPins(store).length, 0),
  },
  {
    command: 'gc',
    before: () => [...BOTH(), ['pin', image, 'x'], ['rmi', image], ['unpin', 'x']],
    steps: () => [['gc']],
    reported: ({ metadata }) => assert.equal(metadata.layers.list().length, 2),
  },
  {
    command: 'fsck --repair',
    before: () => [['pull', image], ['damage']],
    steps: () => [['repair']],
    known: ['blob', 'layer', 'layout', 'image'],
    reported: ({ metadata }) => assert.ok(metadata.images.get(image)?.unpacked),
  },
  {
    command: 'convert to overlayfs',
    before: BOTH,
    steps: () => [['convert', 'overlayfs']],
    reported: (store) => assert.equal(store.driverName, 'overlayfs'),
  },
]);

/** It writes a file, and syncs that alone. */
const WRITES = ['sh', '-c', 'echo changed | dd of=/file conv=fsync 2>/dev/null'];
/** For a while, or until it is told to stop. */
const BRIEF = ['sh', '-c', 'trap "exit 3" TERM; for i in $(seq 30); do sleep 0.05; done'];
const SYSTEM = (): readonly Step[] => [['import', system, 'system']];

/** What `ps --all` says. */
async function ps(store: OpenStore): Promise<readonly Container[]> {
  const launcher = createLauncher({ root: store.paths.root });
  await sweepContainers(store, launcher);
  return launcher.list();
}

async function boxHasEnded(store: OpenStore): Promise<void> {
  // It runs when it was started once more.
  if ((await ps(store)).length > 0) await createLauncher({ root: store.paths.root }).wait('box');
  assert.deepEqual(
    (await ps(store)).map(({ name, state }) => [name, state.status]),
    [['box', 'exited']],
  );
}

async function boxHasFile(store: OpenStore): Promise<void> {
  const row = store.metadata.containers.byName('box');
  const tar = Buffer.concat(await collect(exportSnapshot(store, row?.snapshot ?? '')));
  assert.ok(tar.includes('changed\n'), 'what was synced is there');
}

async function noBox(store: OpenStore): Promise<void> {
  assert.deepEqual(await ps(store), []);
  assert.deepEqual(store.metadata.containers.list(), []);
}

/** Whether a container has written its file: below the upper directory of its layer. */
function fileIsWritten(root: string): boolean {
  const files = globSync(`${root}/layers/**/file`);
  return files.some((path) => readFileSync(path, 'utf8') === 'changed\n');
}

const LASTING = ['sh', '-c', `${WRITES[2]} && sleep 30`];

powerWhileRunning('power loss while a container runs', [
  {
    command: 'in the foreground: what it synced is found again',
    before: SYSTEM,
    step: () => ['run', 'system', 'box', LASTING],
    until: fileIsWritten,
    reported: async (store) => {
      await boxHasEnded(store);
      await boxHasFile(store);
    },
  },
]);

powerScenes({ name: 'power loss while containers run', needs: [program('busybox')] }, [
  {
    command: 'run, and what was written and synced',
    before: SYSTEM,
    steps: () => [['run', 'system', 'box', WRITES]],
    done: 'ALREADY_EXISTS',
    reported: boxHasEnded,
    lasting: async (store) => {
      assert.equal((await ps(store))[0]?.state.exitCode, 0);
      await boxHasFile(store);
    },
  },
  { command: 'run --rm', before: SYSTEM, steps: () => [['run', 'system']], reported: noBox },
  {
    command: 'run -d',
    before: SYSTEM,
    steps: () => [['start', 'system', 'box', BRIEF]],
    done: 'ALREADY_EXISTS',
    reported: boxHasEnded,
  },
  {
    command: 'stop',
    before: SYSTEM,
    steps: () => [
      ['start', 'system', 'box', BRIEF],
      ['stop', 'box'],
    ],
    done: 'ALREADY_EXISTS',
    reported: boxHasEnded,
    // Known by whoever saw it, not found to be dead.
    lasting: async (store) => assert.equal((await ps(store))[0]?.state.error, undefined),
  },
  {
    command: 'rm',
    before: () => [...SYSTEM(), ['run', 'system', 'box']],
    steps: () => [['rm', 'box']],
    done: 'NOT_FOUND',
    reported: noBox,
  },
  {
    command: 'rm --force',
    before: SYSTEM,
    steps: () => [
      ['start', 'system', 'box', BRIEF],
      ['rm', 'box', { force: true }],
    ],
    done: 'ALREADY_EXISTS',
    reported: noBox,
  },
]);
