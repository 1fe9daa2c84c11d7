/** kill -9 while containers are made, run and go, and while what lies outside the store is written. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { removeContainer } from '../../../src/containers/remove.ts';
import { listMounts, mountImage } from '../../../src/images/mount.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { createLauncher } from '../../../src/launch/create-launcher.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { killScenes } from '../../support/kill-rig.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { program, programPath } from '../../support/requires.ts';
import type { Step } from '../../support/run-store-child.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

let registry: LayoutRegistry;
let directory: TempDir;
let image: string;
/** A tar of a system that runs. */
let system: string;

before(async () => {
  directory = tempDir('kill-points-run');
  registry = await layoutRegistry();
  const { root } = await addImage(registry.content, [{ 'etc/motd': 'hello' }, { one: '1'.repeat(5000) }]);
  registry.publish({ 'app:1': root });
  image = `${registry.host}/app:1`;
  if (programPath('busybox') !== undefined) system = makeBusyboxTar(directory.path);
});

after(async () => {
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const SYSTEM = (): readonly Step[] => [['import', system, 'system']];

/** Until it is told to stop. */
const LASTING = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];
const RUNNING = (): readonly Step[] => [...SYSTEM(), ['start', 'system', 'box', LASTING]];

killScenes({ name: 'kill -9 while a container is made, runs and goes', needs: [program('busybox')] }, [
  {
    command: 'run --rm',
    drivers: ['erofs', 'overlayfs'],
    before: SYSTEM,
    step: () => ['run', 'system'],
    check: noContainers,
  },
  {
    command: 'run',
    drivers: ['erofs'],
    before: SYSTEM,
    step: () => ['run', 'system', 'box'],
    done: 'ALREADY_EXISTS',
    check: hasEnded,
  },
  {
    command: 'run -d',
    drivers: ['erofs'],
    before: SYSTEM,
    step: () => ['start', 'system', 'box', ['true']],
    done: 'ALREADY_EXISTS',
    check: hasEnded,
  },
  { command: 'exec', drivers: ['erofs'], before: RUNNING, step: () => ['exec', 'box'], check: stillRuns },
  { command: 'stop', drivers: ['erofs'], before: RUNNING, step: () => ['stop', 'box'], check: hasEnded },
  {
    command: 'rm',
    drivers: ['erofs'],
    before: () => [...SYSTEM(), ['run', 'system', 'box']],
    step: () => ['rm', 'box'],
    done: 'NOT_FOUND',
    check: noContainers,
  },
  {
    command: 'rm --force',
    drivers: ['erofs'],
    before: RUNNING,
    step: () => ['rm', 'box', { force: true }],
    done: 'NOT_FOUND',
    check: noContainers,
  },
  {
    command: 'bundle',
    drivers: ['erofs'],
    before: () => [['pull', image]],
    step: (place) => ['bundle', image, `${place}/bundle`],
    done: 'ALREADY_EXISTS',
    check: isBundle,
  },
  {
    command: 'umount --keep',
    drivers: ['erofs'],
    before: () => [
      ['pull', image],
      ['mount', image, 'work'],
      ['write', 'work', 'etc/motd', 'changed'],
    ],
    step: () => ['umount', 'work', { keep: true }],
    check: showsChange,
  },
  {
    command: 'gc --max-size',
    drivers: ['erofs'],
    before: () => [['pull', image]],
    step: () => ['gc', { maxBytes: 0 }],
    check: ({ metadata }) => assert.deepEqual(metadata.blobs.list(), []),
  },
]);

killScenes({ name: 'kill -9 while something beside the store is written' }, [
  {
    command: 'login',
    drivers: ['erofs'],
    before: () => [['gc']],
    step: (place) => ['login', registry.host, credentials(place)],
    check: (_store, place) => assert.deepEqual(registriesIn(place), ['other.example', registry.host]),
  },
  {
    command: 'logout',
    drivers: ['erofs'],
    before: () => [['gc']],
    step: (place) => ['logout', 'gone.example', credentials(place, 'gone.example')],
    check: (_store, place) => assert.deepEqual(registriesIn(place), ['other.example']),
  },
  {
    command: 'serve --writable',
    drivers: ['erofs'],
    before: () => [['pull', image]],
    step: (place) => ['serve', image, `${place}/layout`],
    check: (_store, place) => isLayout(join(place, 'layout')),
  },
]);

function noContainers({ metadata, paths }: OpenStore): void {
  assert.deepEqual(metadata.containers.list(), []);
  if (existsSync(paths.containers)) assert.deepEqual(namesOf(paths.containers), []);
}

/** `ps` knows it as ended, and it can be removed. */
async function hasEnded(store: OpenStore): Promise<void> {
  const launcher = createLauncher({ root: store.paths.root });
  await launcher.wait('box');
  const all = await launcher.list();
  assert.deepEqual(
    all.map(({ name, state }) => [name, state.status]),
    [['box', 'exited']],
  );
  await removeContainer(store, launcher, 'box');
  noContainers(store);
}

async function stillRuns({ paths }: OpenStore): Promise<void> {
  const { state } = await createLauncher({ root: paths.root }).inspect('box');
  assert.equal(state.status, 'running');
}

async function isBundle(store: OpenStore, place: string): Promise<void> {
  const { root } = JSON.parse(readFileSync(join(place, 'bundle/config.json'), 'utf8'));
  assert.equal(root.path, join(place, 'bundle/rootfs'));
  assert.equal(readFileSync(join(place, 'bundle/rootfs/etc/motd'), 'utf8'), 'hello');
  assert.equal((await listMounts(store)).length, 1);
}

async function showsChange(store: OpenStore): Promise<void> {
  const { target } = await mountImage(store, image, { name: 'work' });
  assert.equal(readFileSync(join(target, 'etc/motd'), 'utf8'), 'changed');
}

/** The file, in which there is always another registry. */
function credentials(place: string, ...more: string[]): string {
  const path = join(place, 'auth.json');
  const auths = Object.fromEntries([...more, 'other.example'].map((name) => [name, { auth: 'bWU6c2VzYW1l' }]));
  if (!existsSync(path)) writeFileSync(path, JSON.stringify({ auths }));
  return path;
}

/** And nothing beside it, where a credential might lie. */
function registriesIn(place: string): string[] {
  assert.deepEqual(
    readdirSync(place).filter((name) => name.startsWith('auth')),
    ['auth.json'],
  );
  return Object.keys(JSON.parse(readFileSync(join(place, 'auth.json'), 'utf8')).auths)
    .toSorted()
    .toReversed();
}

function isLayout(path: string): void {
  assert.deepEqual(namesOf(path), ['blobs', 'index.json', 'oci-layout']);
  const blobs = join(path, 'blobs/sha256');
  for (const name of readdirSync(blobs)) {
    const bytes = readFileSync(join(blobs, name));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), name);
  }
  const { manifests } = JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'));
  assert.equal(manifests.length, 1);
  assert.ok(existsSync(join(blobs, manifests[0].digest.slice('sha256:'.length))));
}

function namesOf(path: string): string[] {
  return readdirSync(path)
    .filter((name) => !name.startsWith('.'))
    .toSorted();
}
