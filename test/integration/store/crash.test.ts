/** Whatever moment a process dies at, the next one finds a store that it can work with. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { FileBlobStore } from '../../../src/blobs/file-store.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { storePaths } from '../../../src/store-layout.ts';
import { collect } from '../../support/collect.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { startStoreChild } from '../../support/run-store-child.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

let registry: LayoutRegistry;
let name: string;

before(async () => {
  registry = await layoutRegistry();
  const layers = Array.from({ length: 8 }, (_, i) => ({ [`file-${i}`]: randomBytes(700_000), [`dir/${i}`]: 'x' }));
  const image = await addImage(registry.content, layers, { form: 'none' });
  registry.publish({ 'app:1': image.root });
  name = `${registry.host}/app:1`;
});

after(() => registry[Symbol.asyncDispose]());

/** Milliseconds that an undisturbed pull takes in a process, from the moment when the store is open. */
async function usualDuration(driver: string): Promise<number> {
  using directory = tempDir('crash');
  const child = startStoreChild({ store: { root: `${directory.path}/store`, driver }, steps: [['pull', name]] });
  await child.open;
  const start = performance.now();
  await child.result;
  return performance.now() - start;
}

for (const [driver, rounds] of Object.entries({ erofs: 4, overlayfs: 2, vfs: 2 })) {
  describe(`kill -9 during a pull with ${driver}`, () => {
    test('at any moment: the same pull again succeeds and nothing is left over', async (t) => {
      if (!requires(t, root)) return;
      const usual = await usualDuration(driver);
      for (let round = 0; round < rounds; round++) {
        using directory = tempDir('crash');
        const store = { root: `${directory.path}/store`, driver };
        // Twice into the same store: a crash over the leftovers of a crash.
        for (const part of [Math.random(), Math.random()]) {
          const child = startStoreChild({ store, steps: [['pull', name]] });
          await child.open;
          await delay(part * usual);
          child.process.kill('SIGKILL');
          await child.result.catch(() => undefined);
        }
        await using opened = await openTestStore(store);
        await checkStore(opened, { resumable: true });
        const result = await pullFrom(opened, name);
        assert.equal(result.unpacked, true);
        await checkStore(opened);
        assert.deepEqual((await fsck(opened)).problems, []);
      }
    });
  });
}

test('a large layer killed near its end is not fetched again', async () => {
  const big = await addImage(registry.content, [{ big: randomBytes(60_000_000) }], { form: 'none' });
  registry.publish({ 'big:1': big.root });
  using directory = tempDir('crash');
  const store = { root: `${directory.path}/store` };
  const blobs = new FileBlobStore(storePaths(store.root));
  const reference = `${registry.host}/big:1`;
  const size = big.layers[0]!.size;
  const child = startStoreChild({ store, steps: [['pull', reference]] });
  await child.open;
  const partial = async () => (await collect(blobs.listPartial()))[0]?.size ?? 0;
  while ((await partial()) < size * 0.5) await delay(1);
  child.process.kill('SIGKILL');
  await child.result.catch(() => undefined);
  const kept = await partial();
  assert.ok(kept >= size * 0.5 && kept < size, `${kept} of ${size} bytes were kept`);
  await using opened = await openTestStore(store);
  const result = await pullFrom(opened, reference);
  assert.equal(result.fetchedBytes, size - kept);
  await checkStore(opened);
});

describe('several processes', () => {
  test('pull one image and fetch each layer once', async (t) => {
    if (!requires(t, root)) return;
    using directory = tempDir('together');
    const store = { root: `${directory.path}/store` };
    const before = registry.requests.length;
    const children = Array.from({ length: 8 }, () => startStoreChild({ store, steps: [['pull', name]] }));
    const results = await Promise.all(children.map((child) => child.result));
    assert.equal(results.length, 8);
    const blobs = registry.requests.slice(before).filter(({ path }) => path.includes('/blobs/'));
    const counts = Map.groupBy(blobs, ({ path }) => path);
    const config = 1;
    assert.equal(counts.size, 8 + config);
    const layers = [...counts.values()].map((requests) => requests.length).sort((a, b) => a - b);
    assert.deepEqual(
      layers.slice(0, 8),
      Array.from({ length: 8 }, () => 1),
    );
    await using opened = await openTestStore(store);
    await checkStore(opened);
  });
});
