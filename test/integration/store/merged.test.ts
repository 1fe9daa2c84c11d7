/** A store with `[erofs] merged = true`: what is made of whole stacks is counted, checked, and goes when it must. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { diskUsage } from '../../../src/images/df.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { listMounts, mountImage, unmountImage } from '../../../src/images/mount.ts';
import { removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { unmount } from '../../../src/mounts/unmount.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, kernelFs, missing, root } from '../../support/requires.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const skip = missing(root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12));

describe('a store of merged images', { skip }, () => {
  let directory: TempDir;
  let registry: LayoutRegistry;
  let store: OpenStore;
  /** The second one lies on all layers of the first. */
  let names: readonly [string, string];

  beforeEach(async () => {
    directory = tempDir('merged');
    registry = await layoutRegistry();
    const layers = [{ 'etc/motd': 'hello', 'etc/gone': 'x' }, { 'etc/.wh.gone': '', one: '1' }, { two: '2' }];
    const one = await addImage(registry.content, layers.slice(0, 2));
    const two = await addImage(registry.content, layers);
    registry.publish({ 'app:1': one.root, 'app:2': two.root });
    names = [`${registry.host}/app:1`, `${registry.host}/app:2`];
    store = await open(true);
    for (const name of names) {
      await pullFrom(store, name);
      const { name: mount, target } = await mountImage(store, name);
      assert.deepEqual(readdirSync(join(target, 'etc')), ['motd']);
      await unmountImage(store, mount);
    }
  });

  afterEach(async () => {
    for (const mount of await listMounts(store)) unmount(mount.target, { stages: store.paths.stages, detach: true });
    await store[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  function open(merged: boolean): Promise<OpenStore> {
    return openTestStore({ root: join(directory.path, 'store'), config: { merged } });
  }

  /** Paths of the files that were made of stacks. */
  function caches(): string[] {
    const stacks = join(store.paths.layers, '.stacks');
    return readdirSync(stacks).map((name) => join(stacks, name));
  }

  test('is counted and clean', async () => {
    assert.equal(caches().length, 2);
    const { overhead, reconciliation } = await diskUsage(store, { reconcile: true });
    assert.ok(overhead.driver.bytes >= 2 * 8192, `${overhead.driver.bytes}`);
    assert.deepEqual(reconciliation?.differences, []);
    assert.deepEqual((await fsck(store)).problems, []);
    assert.deepEqual((await collectGarbage(store)).removed, []);
    assert.equal(caches().length, 2);
    await checkStore(store);
  });

  test('loses with an image what was made of its stack, also where another image has all its layers', async () => {
    await removeImages(store, [names[0]]);
    assert.equal(store.metadata.layers.list().length, 3);
    assert.equal(caches().length, 1);
    const { target } = await mountImage(store, names[1]);
    assert.equal(readFileSync(join(target, 'two'), 'utf8'), '2');
    assert.equal(caches().length, 1);
    await unmountImage(store, target);
    await removeImages(store, [names[1]]);
    assert.deepEqual(caches(), []);
    await checkEmpty(store);
  });

  test('loses it just so when it is not merged any more', async () => {
    await store[Symbol.asyncDispose]();
    store = await open(false);
    await removeImages(store, [names[0]]);
    assert.equal(caches().length, 1);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('collects what somebody who died did not come to remove', async () => {
    const kept = caches().map((path) => ({ path, bytes: readFileSync(path) }));
    await removeImages(store, [names[0]]);
    for (const { path, bytes } of kept) writeFileSync(path, bytes);
    assert.equal(caches().length, 2);
    const { removed } = await collectGarbage(store);
    assert.deepEqual(
      removed.map(({ kind }) => kind),
      ['cache'],
    );
    assert.equal(caches().length, 1);
  });

  test('finds damage and repairs it by making the image anew', async () => {
    const [image = ''] = caches();
    const bytes = readFileSync(image);
    bytes[bytes.length - 100]! ^= 1;
    writeFileSync(image, bytes);
    assert.deepEqual(
      (await fsck(store)).problems.map(({ kind }) => kind),
      ['cache'],
    );
    assert.deepEqual((await fsck(store, { repair: true })).clean, true);
    assert.equal(caches().length, 1);
    truncateSync(caches()[0] ?? '', 100);
    assert.deepEqual(
      (await fsck(store)).problems.map(({ kind }) => kind),
      ['leftover'],
    );
    assert.deepEqual((await fsck(store, { repair: true })).clean, true);
    for (const name of names) {
      const { target } = await mountImage(store, name);
      assert.equal(readFileSync(join(target, 'one'), 'utf8'), '1');
    }
    assert.deepEqual((await fsck(store)).problems, []);
  });
});
