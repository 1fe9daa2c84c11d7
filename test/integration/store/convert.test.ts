import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { DriverModule } from '../../../drivers/driver.ts';
import { freeBytes } from '../../../src/blobs/space.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { convertStore } from '../../../src/images/convert.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import type { ChainID } from '../../../src/oci/digest.ts';
import { layoutRegistry } from '../../support/layout-registry.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

async function driverModule(name: string): Promise<DriverModule> {
  const module = (await import(join(import.meta.dirname, `../../../drivers/${name}/index.ts`))) as {
    driver: DriverModule;
  };
  return module.driver;
}

const MIB = 1024 * 1024;

/** What another process does the first time it is called: a snapshot gets its row. */
function mountLater({ metadata }: OpenStore, parent: ChainID): () => void {
  return () => {
    if (metadata.snapshots.get('work')) return;
    const row = { key: 'work', kind: 'view', parent, layer: null, id: null, manifest: null, labels: {} } as const;
    metadata.snapshots.put({ ...row, createdAt: Date.now() });
  };
}

describe('convert', () => {
  test('takes a store from driver to driver and loses nothing', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    using directory = tempDir('convert');
    await using registry = await layoutRegistry();
    const base = { 'etc/motd': 'hello' };
    const one = await addImage(registry.content, [base, { one: '1' }, base]);
    const two = await addImage(registry.content, [base, { two: '2' }], { form: 'zstd' });
    registry.publish({ 'app:1': one.root, 'app:2': two.root });
    const at = `${directory.path}/store`;
    const names = [`${registry.host}/app:1`, `${registry.host}/app:2`] as const;
    {
      await using store = await openTestStore({ root: at, driver: 'erofs' });
      for (const name of names) await pullFrom(store, name);
    }
    const route = ['erofs', 'overlayfs', 'vfs', 'erofs'];
    for (const [i, driver] of route.slice(1).entries()) {
      {
        await using store = await openTestStore({ root: at, driver: route[i] as string });
        const conversion = await convertStore(store, await driverModule(driver));
        assert.equal(conversion.to, driver);
        assert.equal(conversion.layers, driver === 'vfs' ? 4 : 3);
      }
      await using store = await openTestStore({ root: at, driver });
      assert.equal(store.driverName, driver);
      await checkStore(store);
      assert.deepEqual((await fsck(store)).problems, []);
      const mount = await mountImage(store, names[0]);
      assert.equal(readFileSync(join(mount.target, 'one'), 'utf8'), '1');
      assert.equal(readFileSync(join(mount.target, 'etc/motd'), 'utf8'), 'hello');
      await unmountImage(store, mount.name);
      assert.equal((await pullFrom(store, names[1])).status, 'present');
    }
  });

  test('is refused while something is made of an image', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    using directory = tempDir('convert');
    await using registry = await layoutRegistry();
    registry.publish({ 'app:1': (await addImage(registry.content, [{ x: 'x' }])).root });
    await using store = await openTestStore({ root: `${directory.path}/store` });
    await pullFrom(store, `${registry.host}/app:1`);
    await mountImage(store, `${registry.host}/app:1`, { name: 'work' });
    const vfs = await driverModule('vfs');
    await assert.rejects(convertStore(store, vfs), (error) => isTslayerError(error, 'IN_USE'));
    await unmountImage(store, 'work');
  });

  test('is refused when a snapshot was made while it unpacked, and leaves nothing of the other driver', async (t) => {
    if (!requires(t, root, kernel(6, 12))) return;
    using directory = tempDir('convert');
    await using registry = await layoutRegistry();
    registry.publish({ 'app:1': (await addImage(registry.content, [{ x: 'x' }])).root });
    const at = { root: `${directory.path}/store` };
    await using store = await openTestStore(at);
    await pullFrom(store, `${registry.host}/app:1`);
    await using other = await openTestStore(at);
    const { chainId } = other.metadata.images.list()[0]!;
    const before = readdirSync(store.paths.layers);
    const mount = mountLater(other, chainId!);
    const conversion = convertStore(store, await driverModule('overlayfs'), {
      onProgress: (event) => event.type === 'layer' && mount(),
    });
    await assert.rejects(conversion, (error) => isTslayerError(error, 'IN_USE') && /work/.test(error.message));
    assert.equal(store.driverName, 'erofs');
    assert.deepEqual(readdirSync(store.paths.layers), before);
    assert.deepEqual(store.metadata.garbage.list(), []);
    other.metadata.snapshots.delete('work');
    await checkStore(store);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('on a disk that fills up meanwhile leaves the store as it was, and the disk', async (t) => {
    if (!requires(t, () => cannotLoop('ext4'), kernel(6, 12))) return;
    await using registry = await layoutRegistry();
    const layers = ['a', 'b', 'c'].map((name) => ({ [name]: randomBytes(6 * MIB) }));
    registry.publish({ 'app:1': (await addImage(registry.content, layers, { form: 'none' })).root });
    using disk = loopFs('ext4', 128, ['-m', '0']);
    await using store = await openTestStore({ root: `${disk.path}/store` });
    await pullFrom(store, `${registry.host}/app:1`);
    const names = (): string[] =>
      [...readdirSync(store.paths.layers), ...readdirSync(store.paths.indexes)]
        .filter((name) => name !== '.empty')
        .sort();
    const before = { names: names(), rows: store.metadata.layers.list() };
    writeFileSync(`${disk.path}/ballast`, Buffer.alloc(freeBytes(disk.path) - 15 * MIB));
    const overlayfs = await driverModule('overlayfs');
    await assert.rejects(convertStore(store, overlayfs), (error) => isTslayerError(error, 'NO_SPACE'));
    assert.deepEqual({ names: names(), rows: store.metadata.layers.list() }, before);
    assert.ok(freeBytes(disk.path) > 14 * MIB, 'the room is free again');
    assert.equal(store.driverName, 'erofs');
    assert.deepEqual(store.metadata.garbage.list(), []);
    await checkStore(store);
    rmSync(`${disk.path}/ballast`);
    assert.equal((await convertStore(store, overlayfs)).layers, 3);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('that cannot be done leaves the store as it was', async () => {
    using directory = tempDir('convert');
    await using registry = await layoutRegistry();
    const image = await addImage(registry.content, [{ a: 'a' }, { b: 'b' }]);
    registry.publish({ 'app:1': image.root });
    await using store = await openTestStore({ root: `${directory.path}/store`, config: { keepBlobs: false } });
    await pullFrom(store, `${registry.host}/app:1`);
    const before = store.metadata.layers.list();
    await assert.rejects(convertStore(store, await driverModule('vfs')), (error) => isTslayerError(error, 'NOT_FOUND'));
    assert.deepEqual(store.metadata.layers.list(), before);
    assert.equal(store.driverName, 'erofs');
    assert.deepEqual(store.metadata.garbage.list(), []);
  });
});
