/** What gives implied directories their looks, of whole stacks: checked, counted, and gone when it must be. */
import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { diskUsage } from '../../../src/images/df.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import { removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, kernelFs, missing, root } from '../../support/requires.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const drivers = {
  erofs: missing(root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)),
  overlayfs: missing(root, kernelFs('overlay')),
};

for (const [driver, skip] of Object.entries(drivers))
  describe(`a store with directories that layers imply, ${driver}`, { skip }, () => {
    let directory: TempDir;
    let registry: LayoutRegistry;
    let store: OpenStore;
    /** The second one lies on all layers of the first. */
    let names: readonly [string, string];

    beforeEach(async () => {
      directory = tempDir('implied');
      registry = await layoutRegistry();
      // `etc` is named by the lowest layer alone.
      const layers = [{ 'etc/': '', 'etc/motd': 'hello' }, { 'etc/one': '1' }, { 'etc/two': '2' }];
      const one = await addImage(registry.content, layers.slice(0, 2));
      const two = await addImage(registry.content, layers);
      registry.publish({ 'app:1': one.root, 'app:2': two.root });
      names = [`${registry.host}/app:1`, `${registry.host}/app:2`];
      store = await openTestStore({ root: join(directory.path, 'store'), driver });
      for (const name of names) {
        await pullFrom(store, name);
        const { name: mount, target } = await mountImage(store, name);
        assert.ok(statSync(join(target, 'etc')).isDirectory());
        await unmountImage(store, mount);
      }
      assert.equal(looks().length, 2);
    });

    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    });

    function looks(): string[] {
      const stacks = join(store.paths.layers, '.stacks');
      return readdirSync(stacks).map((name) => join(stacks, name));
    }

    test('is sound, and its df agrees with du', async () => {
      await checkStore(store);
      assert.deepEqual((await fsck(store)).problems, []);
      const { reconciliation } = await diskUsage(store, { reconcile: true });
      assert.deepEqual(reconciliation?.differences, []);
      assert.deepEqual((await collectGarbage(store)).removed, []);
      assert.equal(looks().length, 2);
    });

    test('loses the looks of a stack with the layer that was its alone', async () => {
      await removeImages(store, [names[1]]);
      assert.equal(looks().length, 1);
      await removeImages(store, [names[0]]);
      await checkEmpty(store);
      assert.deepEqual(looks(), []);
    });

    test('loses with an image those whose layers live on in another one', async () => {
      await removeImages(store, [names[0]]);
      assert.equal(looks().length, 1);
      assert.deepEqual((await fsck(store)).problems, []);
    });

    test('is sound when a mount outlives the name of its image, and its umount leaves the rest to gc', async () => {
      const [name] = names;
      const { name: mount } = await mountImage(store, name);
      const { root } = await addImage(registry.content, [{ other: '1' }]);
      registry.publish({ 'app:1': root });
      await pullFrom(store, name);
      assert.deepEqual((await fsck(store)).problems, []);
      await unmountImage(store, mount);
      assert.deepEqual((await fsck(store)).problems, []);
      await removeImages(store, [...names]);
      await collectGarbage(store);
      await checkEmpty(store);
      assert.deepEqual(looks(), []);
    });

    /** Finds exactly this with it, repairs it, and is as before when the images are mounted again. */
    async function findsAndRepairs(path: string, kind: 'cache' | 'leftover'): Promise<void> {
      const { problems } = await fsck(store);
      assert.deepEqual(
        problems.map((problem) => [problem.kind, problem.subject]),
        [[kind, path.slice(store.paths.root.length + 1)]],
      );
      assert.equal((await fsck(store, { repair: true })).clean, true);
      for (const name of names) {
        const { name: mount, target } = await mountImage(store, name);
        assert.ok(statSync(join(target, 'etc')).isDirectory());
        await unmountImage(store, mount);
      }
      assert.equal(looks().length, 2);
      assert.deepEqual((await fsck(store)).problems, []);
    }

    if (driver === 'erofs') {
      for (const [what, at] of Object.entries({ attributes: -100, 'names of its layers': 4097, head: 1060 })) {
        test(`finds and repairs damage to the ${what}`, async () => {
          const [image = ''] = looks();
          const bytes = readFileSync(image);
          bytes[at < 0 ? bytes.length + at : at]! ^= 1;
          writeFileSync(image, bytes);
          await findsAndRepairs(image, what === 'names of its layers' ? 'leftover' : 'cache');
        });
      }
      return;
    }

    const damages: Readonly<Record<string, (looks: string) => void>> = {
      'a directory of other permissions': (looks) => chmodSync(join(looks, 'diff/etc'), 0o700),
      'a directory of another time': (looks) => utimesSync(join(looks, 'diff/etc'), 1, 1),
      'a directory too few': (looks) => rmSync(join(looks, 'diff/etc'), { recursive: true }),
      'a file too many': (looks) => writeFileSync(join(looks, 'diff/etc/more'), ''),
    };
    for (const [what, damage] of Object.entries(damages)) {
      test(`finds and repairs ${what}`, async () => {
        const [made = ''] = looks();
        damage(made);
        await findsAndRepairs(made, 'cache');
      });
    }

    test('finds and removes what does not tell its layers', async () => {
      const [made = ''] = looks();
      writeFileSync(join(made, 'stack'), '1 2');
      await findsAndRepairs(made, 'leftover');
    });

    test('of a layer that is gone is told, and no more, and made again with it', async () => {
      const [layer] = store.metadata.layers.list();
      rmSync(join(store.paths.layers, layer?.id ?? ''), { recursive: true });
      const kinds = (await fsck(store)).problems.map(({ kind }) => kind);
      assert.ok(kinds.includes('layer'), kinds.join());
      assert.equal((await fsck(store, { repair: true })).clean, true);
      assert.deepEqual((await fsck(store)).problems, []);
    });

    test('leaves alone what is damaged and mounted', async () => {
      const [name] = names;
      const { name: mount, target } = await mountImage(store, name);
      for (const made of looks()) chmodSync(join(made, 'diff/etc'), 0o700);
      const report = await fsck(store, { repair: true });
      assert.deepEqual(report.problems.map(({ kind, state }) => [kind, state]).sort(), [
        ['cache', 'failed'],
        ['cache', 'repaired'],
      ]);
      assert.ok(statSync(join(target, 'etc/motd')).isFile());
      await unmountImage(store, mount);
      assert.equal((await fsck(store, { repair: true })).clean, true);
    });
  });
