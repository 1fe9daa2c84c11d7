/**
 * Ten thousand images and thirty thousand layers: what looks at all of them asks the database some questions and none
 * for each image, and what looks at one asks no more than in a small store. How long that takes is bench/scale.ts' business.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { diskUsage } from '../../../src/images/df.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { publishNames } from '../../../src/images/layout-index.ts';
import { listImages } from '../../../src/images/list.ts';
import { pullImage } from '../../../src/images/pull/pull.ts';
import { removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { tagImage } from '../../../src/images/tag.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { fillStore } from '../../support/large-store.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const IMAGES = 10_000;
/** Statements; a look at each image would take thousands. */
const MOST = 300;

let directory: TempDir;
let store: OpenStore;

before(async () => {
  directory = tempDir('scale');
  store = await openTestStore({ root: `${directory.path}/store` });
  fillStore(store, { images: IMAGES, layersEach: 4 });
  await publishNames(store);
});

after(async () => {
  await store[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

/** Runs `work` and counts what it asks the database. */
async function within<T>(name: string, work: () => Promise<T> | T): Promise<T> {
  const { database } = store.metadata;
  let statements = 0;
  const counted = (['get', 'all', 'columns', 'texts', 'run'] as const).map((method) => {
    const original = database[method] as (...parameters: never[]) => unknown;
    const count = (...parameters: never[]) => {
      statements++;
      return original.apply(database, parameters);
    };
    Object.defineProperty(database, method, { value: count, configurable: true });
    return method;
  });
  try {
    return await work();
  } finally {
    for (const method of counted) delete (database as Partial<typeof database>)[method];
    assert.ok(statements > 0 && statements < MOST, `${name}: ${statements} statements`);
  }
}

describe('a store of 10,000 images and 31,000 layers', () => {
  test('opens', async () => {
    await using second = await openTestStore({ root: store.paths.root });
    assert.equal(second.driverName, store.driverName);
  });

  test('lists its images', async () => {
    const images = await within('images', () => listImages(store));
    assert.equal(images.length, IMAGES);
    assert.equal(images[0]?.unpackedBytes, 4 * 3_006_464);
  });

  test('measures itself', async () => {
    const usage = await within('df', () => diskUsage(store));
    assert.equal(usage.layers.count, IMAGES * 3 + IMAGES / 10);
    assert.equal(usage.images.length, IMAGES);
  });

  test('explains what a collection would do', async () => {
    const report = await within('gc --dry-run', () => collectGarbage(store, { dryRun: true }));
    assert.deepEqual(report.removed, []);
    assert.equal(report.kept.length, store.metadata.blobs.list().length + store.metadata.layers.list().length);
  });

  test('pulls what is there', async () => {
    const digest = digestOf('manifest 77');
    const descriptor = { mediaType: OCI_MANIFEST, digest, size: 1000 };
    const source = { resolve: async () => ({ descriptor, endpoint: 'test' }) } as unknown as Parameters<
      typeof pullImage
    >[1]['source'];
    const result = await within('no-op pull', () =>
      pullImage(store, { names: ['127.0.0.1:5000/farm/image-77:1'], source }),
    );
    assert.equal(result.status, 'present');
  });

  test('tags and removes', async () => {
    await within('tag', () => tagImage(store, '127.0.0.1:5000/farm/image-5:1', 'mine'));
    await within('rmi', () => removeImages(store, ['mine', '127.0.0.1:5000/farm/image-5:1']));
    assert.equal(store.metadata.layers.list().length, IMAGES * 3 + IMAGES / 10 - 3);
  });
});
