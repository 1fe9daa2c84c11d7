/** A store works the same with every driver. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { diskUsage } from '../../../src/images/df.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import { removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, type Requirement, requires, root } from '../../support/requires.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [root, kernel(6, 12)],
  overlayfs: [root],
  vfs: [root],
};

/**
 * `df` says what du(1) finds, to the byte. What is mounted is left out by hand: vfs mounts directories of the store
 * itself, which `du -x` would count a second time.
 */
async function agreesWithDu(store: OpenStore): Promise<void> {
  const usage = await diskUsage(store, { reconcile: true });
  const du = (...args: string[]) =>
    Number(
      execFileSync('du', ['-sx', `--exclude=${store.paths.mounts}/*`, ...args, store.paths.root])
        .toString()
        .split('\t')[0],
    );
  assert.deepEqual(usage.reconciliation?.differences, []);
  assert.equal(usage.total.bytes, du('--block-size=1'));
  assert.equal(usage.total.inodes, du('--inodes'));
  assert.deepEqual(usage.reconciliation?.du, usage.total);
}

for (const [driver, needs] of Object.entries(DRIVERS)) {
  describe(driver, () => {
    test('pulls, shares, mounts, repairs and removes', async (t) => {
      if (!requires(t, ...needs)) return;
      using directory = tempDir('drivers');
      await using registry = await layoutRegistry();
      await using store = await openTestStore({ root: `${directory.path}/store`, driver });
      const base = { 'etc/motd': 'hello', 'etc/gone': 'x' };
      const one = await addImage(registry.content, [base, { 'etc/.wh.gone': '', one: '1' }, { one: '11' }]);
      const two = await addImage(registry.content, [base, { two: '2' }]);
      registry.publish({ 'app:1': one.root, 'app:2': two.root });
      const names = [`${registry.host}/app:1`, `${registry.host}/app:2`] as const;
      await pullFrom(store, names[0]);
      assert.equal((await pullFrom(store, names[1])).fetchedBytes, two.layers[1]?.size);
      assert.equal(store.metadata.layers.list().length, 4);
      const mount = await mountImage(store, names[0]);
      try {
        writeFileSync(join(mount.target, 'written'), 'x'.repeat(50_000));
        await agreesWithDu(store);
        rmSync(join(mount.target, 'written'));
        assert.deepEqual(readdirSync(mount.target).sort(), ['etc', 'one']);
        assert.deepEqual(readdirSync(join(mount.target, 'etc')), ['motd']);
        assert.equal(readFileSync(join(mount.target, 'one'), 'utf8'), '11');
        assert.equal(lstatSync(join(mount.target, 'one')).mtimeMs, 0);
      } finally {
        await unmountImage(store, mount.name);
      }
      await agreesWithDu(store);
      await checkStore(store);
      assert.deepEqual((await fsck(store)).problems, []);
      await removeImages(store, names);
      await checkEmpty(store);
    });

    test('mounts an image that has a layer twice as if it were two', async (t) => {
      if (!requires(t, ...needs)) return;
      using directory = tempDir('drivers');
      await using registry = await layoutRegistry();
      await using store = await openTestStore({ root: `${directory.path}/store`, driver });
      const twice = { 'etc/motd': 'hello', 'etc/host': 'a', 'lib/.wh.old': '' };
      const between = { 'etc/.wh.motd': '', 'etc/host': 'b', 'lib/old': 'x', new: 'n' };
      const image = await addImage(registry.content, [{ 'lib/keep': 'k' }, twice, between, twice]);
      registry.publish({ 'app:1': image.root });
      await pullFrom(store, `${registry.host}/app:1`);
      const mount = await mountImage(store, `${registry.host}/app:1`);
      try {
        const read = (path: string) => readFileSync(join(mount.target, path), 'utf8');
        assert.deepEqual([read('etc/motd'), read('etc/host'), read('new')], ['hello', 'a', 'n']);
        assert.deepEqual(readdirSync(join(mount.target, 'lib')), ['keep']);
      } finally {
        await unmountImage(store, mount.name);
      }
    });
  });
}
