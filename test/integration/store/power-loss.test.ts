/** Power loss during every command that promises to be there afterwards, and just after it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { listMounts, mountImage } from '../../../src/images/mount.ts';
import { listPins } from '../../../src/images/pins.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { powerScenes } from '../../support/power-rig.ts';
import { programPath } from '../../support/requires.ts';
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

powerScenes('power loss while images come and go', [
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

powerScenes('power loss while the store is used and kept in order', [
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
