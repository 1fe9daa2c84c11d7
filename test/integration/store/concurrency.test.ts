/** Eight processes do whatever comes to their minds with one store. TSLAYER_CHAOS_SECONDS makes it longer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { listMounts, unmountImage } from '../../../src/images/mount.ts';
import { removeImages } from '../../../src/images/remove.ts';
import { layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, type Requirement, requires, root } from '../../support/requires.ts';
import { startStoreChild } from '../../support/run-store-child.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const SECONDS = Number(process.env.TSLAYER_CHAOS_SECONDS ?? 3);
const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [root, kernel(6, 12)],
  overlayfs: [root],
  vfs: [root],
};

describe('pull, rmi, gc, tag, mount and umount from eight processes', () => {
  for (const [driver, needs] of Object.entries(DRIVERS)) {
    test(`with ${driver}: nobody is surprised and the store is sound`, async (t) => {
      if (!requires(t, ...needs)) return;
      using directory = tempDir('chaos');
      await using registry = await layoutRegistry();
      const base = { 'etc/motd': 'hello', 'bin/tool': 'x'.repeat(200_000) };
      const names = await Promise.all(
        ['a', 'b', 'c', 'd'].map(async (name) => {
          const image = await addImage(registry.content, [base, { name }, { [name]: name.repeat(50_000) }]);
          registry.publish({ [`${name}:1`]: image.root });
          return `${registry.host}/${name}:1`;
        }),
      );
      const store = { root: `${directory.path}/store`, driver };
      const children = Array.from({ length: 8 }, () =>
        startStoreChild({ store, steps: [['chaos', { images: names, milliseconds: SECONDS * 1000 }]] }),
      );
      const results = await Promise.allSettled(children.map((child) => child.result));
      await using opened = await openTestStore(store);
      try {
        for (const result of results) if (result.status === 'rejected') throw result.reason;
        await checkStore(opened);
        assert.deepEqual((await fsck(opened)).problems, []);
      } finally {
        for (const mount of await listMounts(opened)) await unmountImage(opened, mount.name, { force: true });
      }
      for (const image of opened.metadata.images.list()) await removeImages(opened, [image.name]);
      await collectGarbage(opened);
      await checkEmpty(opened);
    });
  }
});
