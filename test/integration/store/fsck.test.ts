import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { createRegistryClient } from '../../../registry-client/index.ts';
import type { FsckOptions, FsckReport } from '../../../src/images/fsck/fsck.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { endLease, openLease } from '../../../src/images/lease.ts';
import { listMounts, mountImage, unmountImage } from '../../../src/images/mount.ts';
import { registrySource } from '../../../src/images/pull/source.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { unmount } from '../../../src/mounts/unmount.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { ingestPath } from '../../../src/store-layout.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, type MemoryImage } from '../../support/memory-images.ts';
import { kernel, requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

let directory: TempDir;
let registry: LayoutRegistry;
let store: OpenStore;
let image: MemoryImage;
let name: string;

beforeEach(async () => {
  directory = tempDir('fsck');
  registry = await layoutRegistry();
  store = await openTestStore({ root: `${directory.path}/store` });
  image = await addImage(registry.content, [{ 'etc/motd': 'hello' }, { 'bin/tool': 'x'.repeat(10_000) }]);
  registry.publish({ 'app:1': image.root });
  name = `${registry.host}/app:1`;
  await pullFrom(store, name);
});

afterEach(async () => {
  for (const mount of await listMounts(store)) unmount(mount.target, { stages: store.paths.stages, detach: true });
  await store[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** Finds `kind`, repairs it, and finds nothing afterwards. */
async function repairs(kind: string, action: RegExp, options: FsckOptions = {}): Promise<FsckReport> {
  const found = await fsck(store);
  assert.deepEqual(
    found.problems.map((problem) => problem.kind),
    [kind],
    JSON.stringify(found.problems),
  );
  assert.equal(found.clean, false);
  const repaired = await fsck(store, { repair: true, ...options });
  assert.equal(repaired.clean, true, JSON.stringify(repaired.problems));
  assert.match(repaired.problems[0]?.action ?? '', action);
  assert.deepEqual((await fsck(store)).problems, []);
  await checkStore(store);
  return repaired;
}

/** The registry, as the command line would find it by the image's name. */
async function sourceOf(imageName: string): Promise<ReturnType<typeof registrySource>> {
  return registrySource(createRegistryClient({ env: {}, etc: '/nonexistent' }), parseReference(imageName));
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

const pathOf = (digest: Digest) => store.blobs.path(digest);

test('a sound store has no problems', async () => {
  assert.deepEqual(await fsck(store), { problems: [], clean: true });
});

describe('a damaged blob', () => {
  test('of a layer is fetched again, and nothing else is', async () => {
    flip(pathOf(image.layers[0]!.digest));
    const before = registry.requests.length;
    await repairs('blob', /fetched again/, { sourceOf });
    const fetched = registry.requests.slice(before).map(({ path }) => path);
    assert.deepEqual(fetched, [`/v2/app/blobs/${image.layers[0]!.digest}`]);
  });

  test('of a manifest is fetched again', async () => {
    truncateSync(pathOf(image.root.digest), 10);
    await repairs('blob', /fetched again/, { sourceOf });
  });

  test('of a config that is missing is fetched again', async () => {
    rmSync(pathOf(image.config.digest));
    await repairs('blob', /fetched again/, { sourceOf });
  });

  test('of an unpacked layer that nobody offers is dropped, the image stays', async () => {
    flip(pathOf(image.layers[0]!.digest));
    const found = await fsck(store, { repair: true });
    assert.match(found.problems[0]?.action ?? '', /dropped; its layer is unpacked/);
    assert.equal(store.metadata.images.list().length, 1);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('of a config that nobody offers takes its image with it', async () => {
    flip(pathOf(image.config.digest));
    const found = await fsck(store, { repair: true });
    assert.match(found.problems[0]?.action ?? '', /dropped with .*app:1/);
    assert.equal(store.metadata.images.list().length, 0);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('stays while its registry cannot be reached', async () => {
    rmSync(pathOf(image.config.digest));
    await registry[Symbol.asyncDispose]();
    const found = await fsck(store, { repair: true, sourceOf });
    assert.equal(found.problems[0]?.state, 'failed');
    assert.equal(store.metadata.images.list().length, 1);
  });

  // As kill -9 leaves it: the lease of a dead session, and a file that it had just opened.
  test('whose repair died before the first byte came leaves nothing of it', async () => {
    const digest = image.layers[0]?.digest as Digest;
    const lease = await openLease(store, `fsck ${digest}`);
    lease.hold({ blobs: [digest] });
    writeFileSync(ingestPath(store.paths, digest), '');
    await endLease(store, lease.id);
    await checkStore(store);
  });

  test('is not looked for by a quick check', async () => {
    flip(pathOf(image.layers[0]!.digest));
    assert.equal((await fsck(store, { quick: true })).clean, true);
  });
});

describe('a damaged layer', () => {
  const layerFile = () => readdirSync(store.paths.layers).find((entry) => entry.endsWith('.erofs')) as string;

  test('that is missing is unpacked again from its blob', async () => {
    rmSync(join(store.paths.layers, layerFile()));
    const before = registry.requests.length;
    await repairs('layer', /unpacked again from its blob/, { sourceOf });
    assert.equal(registry.requests.length, before);
  });

  test('that is missing with its blob is fetched again', async () => {
    const row = store.metadata.layers.list()[0]!;
    const { digest } = store.metadata.blobs.blobsOf(row.diffId)[0]!;
    store.metadata.blobs.delete(digest);
    await store.blobs.remove(digest);
    rmSync(join(store.paths.layers, `${row.id}.erofs`));
    const found = await fsck(store, { repair: true, sourceOf });
    assert.equal(found.clean, true, JSON.stringify(found.problems));
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('is usable again', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    rmSync(join(store.paths.layers, layerFile()));
    await fsck(store, { repair: true });
    const mount = await mountImage(store, name, { readOnly: true });
    assert.equal(readFileSync(join(mount.target, 'etc/motd'), 'utf8'), 'hello');
    await unmountImage(store, mount.name);
  });
});

describe('the layout', () => {
  test('that somebody changed is written again', async () => {
    writeFileSync(store.paths.index, '{}');
    await repairs('layout', /written again/);
  });

  test('without oci-layout gets it again', async () => {
    rmSync(store.paths.ociLayout);
    await repairs('layout', /written again/);
  });
});

describe('a mount', () => {
  test('that vanished is forgotten, what was written is kept', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    const mount = await mountImage(store, name, { name: 'work' });
    writeFileSync(join(mount.target, 'note'), 'kept');
    unmount(mount.target, { stages: store.paths.stages });
    await repairs('mount', /kept the snapshot work/);
    await mountImage(store, name, { name: 'work' });
    assert.equal(readFileSync(join(mount.target, 'note'), 'utf8'), 'kept');
    await unmountImage(store, 'work');
  });

  test('that no row knows is unmounted', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    await mountImage(store, name, { name: 'work', readOnly: true });
    store.metadata.mounts.delete('work');
    await store.snapshots.remove('work');
    await repairs('mount', /unmounted/);
  });
});

test('leftovers are removed', async () => {
  writeFileSync(join(store.paths.layers, 'zzz.erofs'), 'left by a lost row');
  await repairs('leftover', /removed/);
});

test('rows that contradict each other are told', async () => {
  store.metadata.database.run('PRAGMA foreign_keys = OFF');
  store.metadata.blobs.delete(image.config.digest);
  store.metadata.database.run('PRAGMA foreign_keys = ON');
  const found = await fsck(store, { quick: true });
  assert.ok(found.problems.some(({ kind, message }) => kind === 'database' && /images/.test(message)));
});
