/** Images of a store saved and loaded into another: every digest stays. */
import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { loadImages, pullArchive } from '../../../src/images/load.ts';
import { saveArchive, saveDirectory, saveFile } from '../../../src/images/save.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseLocation } from '../../../src/transports/location.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, addIndex, collect } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const AMD = { os: 'linux', architecture: 'amd64' };
const ARM = { os: 'linux', architecture: 'arm64' };
const BASE = { 'etc/motd': 'hello', 'bin/sh': 'x'.repeat(3000) };

async function registryOfTwo(registry: LayoutRegistry): Promise<void> {
  const { content } = registry;
  const a = await addImage(content, [BASE, { a: 'A' }]);
  const arm = await addImage(content, [{ arm: '1' }], { platform: ARM });
  const multi = addIndex(content, [
    [AMD, a.root],
    [ARM, arm.root],
  ]);
  const b = await addImage(content, [BASE, { b: 'B' }]);
  registry.publish({ 'a:1': multi, 'b:1': b.root });
}

/** A store that has pulled both images. */
async function filled(dir: string, allPlatforms: boolean) {
  const registry = await layoutRegistry();
  await registryOfTwo(registry);
  const store = await openTestStore({ root: join(dir, 'from') });
  for (const name of ['a:1', 'b:1']) await pullFrom(store, `${registry.host}/${name}`, { allPlatforms });
  return {
    store,
    host: registry.host,
    images: store.metadata.images.list(),
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** What must not change: names, and all digests behind them. */
function facts(store: OpenStore) {
  return store.metadata.images.list().map(({ name, target, manifest, config, chainId, unpacked, allPlatforms }) => {
    return { name, target, manifest, config, chainId, unpacked, allPlatforms };
  });
}

describe('save and load', () => {
  for (const allPlatforms of [false, true]) {
    const which = allPlatforms ? 'all platforms' : 'one platform';
    test(`an OCI archive of ${which} gives another store the same images`, async (t) => {
      if (!requires(t, root)) return;
      using dir = tempDir('save');
      await using from = await filled(dir.path, allPlatforms);
      const path = join(dir.path, 'images.tar');
      await saveFile(from.store, from.images, 'oci-archive', path);
      await using to = await openTestStore({ root: join(dir.path, 'to') });
      const loaded = await loadImages(to, path);
      assert.equal(loaded.length, 2);
      assert.deepEqual(facts(to), facts(from.store));
      const blobs = (store: OpenStore) => store.metadata.blobs.list().map((row) => [row.digest, row.kind, row.size]);
      assert.deepEqual(blobs(to), blobs(from.store));
    });
  }

  test('a stream of a Docker archive keeps image ids and diffIDs', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using from = await filled(dir.path, false);
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    const stdin = saveArchive(from.store, from.images, 'docker-archive');
    await loadImages(to, '-', { stdin });
    const ids = (store: OpenStore) => facts(store).map(({ name, config, chainId }) => ({ name, config, chainId }));
    assert.deepEqual(ids(to), ids(from.store));
    // Loaded again, nothing changes.
    const before = facts(to);
    await loadImages(to, '-', { stdin: saveArchive(from.store, from.images, 'docker-archive') });
    assert.deepEqual(facts(to), before);
  });

  test('a layout takes one image by its tag, and gives it back by its location', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using from = await filled(dir.path, true);
    const layout = join(dir.path, 'layout');
    await saveDirectory(from.store, from.images.slice(0, 1), layout, { refName: '1' });
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    const location = parseLocation(`oci:${layout}:1`);
    assert.ok(location.transport === 'oci');
    const pulled = await pullArchive(to, location);
    assert.equal(pulled.name, 'localhost/layout:1');
    assert.equal(pulled.digest, from.images[0]?.target);
    const again = await pullArchive(to, location);
    assert.equal(again.status, 'present');
  });

  test('the store itself is a layout that another store pulls from', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using from = await filled(dir.path, false);
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    const location = { transport: 'oci', path: from.store.paths.root, name: `${from.host}/b:1` } as const;
    const pulled = await pullArchive(to, location);
    assert.equal(pulled.digest, from.images.find((image) => image.name.endsWith('/b:1'))?.target);
  });

  test('one platform of an index can be saved alone', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using from = await filled(dir.path, false);
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    const [image] = from.images;
    assert.ok(image && image.target !== image.manifest);
    const stdin = saveArchive(from.store, [image], 'oci-archive', { platform: AMD });
    const [loaded] = await loadImages(to, '-', { stdin });
    assert.equal(loaded?.digest, image.manifest);
  });

  test('an image of another platform is loaded as it is', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using registry = await layoutRegistry();
    const arm = await addImage(registry.content, [{ arm: '1' }], { platform: ARM });
    registry.publish({ 'arm:1': addIndex(registry.content, [[ARM, arm.root]]) });
    await using from = await openTestStore({ root: join(dir.path, 'from') });
    await pullFrom(from, `${registry.host}/arm:1`, { platform: ARM });
    const path = join(dir.path, 'arm.tar');
    await pipeline(saveArchive(from, from.metadata.images.list(), 'oci-archive'), createWriteStream(path));
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    const [loaded] = await loadImages(to, path);
    assert.equal(loaded?.platform, 'linux/arm64');
  });

  test('a damaged archive leaves nothing behind', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('save');
    await using from = await filled(dir.path, false);
    const bytes = await collect(saveArchive(from.store, from.images, 'oci-archive'));
    const layer = from.store.metadata.blobs.list().find((row) => row.kind === 'layer');
    const blob = await collect(from.store.blobs.open(layer!.digest));
    const at = bytes.indexOf(blob);
    bytes[at + blob.length - 5]! ^= 0xff;
    await using to = await openTestStore({ root: join(dir.path, 'to') });
    async function* stdin() {
      yield bytes;
    }
    await assert.rejects(loadImages(to, '-', { stdin: stdin() }), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
    const rows = to.metadata.images.list().length;
    const held = to.metadata.leases.list();
    assert.deepEqual(held, []);
    const kept = to.metadata.blobs.list().filter((row) => row.digest === layer!.digest);
    assert.deepEqual(kept, []);
    assert.ok(rows <= 1);
  });
});
