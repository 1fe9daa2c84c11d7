/** What is made and saved here keeps the OCI Image Specification's rules. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildImage } from '../../../src/images/build.ts';
import { findImage } from '../../../src/images/find.ts';
import { readImage } from '../../../src/images/image-layers.ts';
import { saveDirectory, saveFile } from '../../../src/images/save.ts';
import { squashImage } from '../../../src/images/squash.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { layoutRegistry } from '../../support/layout-registry.ts';
import { checkLayoutRules } from '../../support/layout-rules.ts';
import { addImage } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const EPOCH = 1_700_000_000;

/** Images as `build` makes them with each compression, and one squashed. */
async function makeImages(store: OpenStore): Promise<void> {
  for (const compression of ['gzip', 'zstd', 'none'] as const) {
    const layers = [{ files: { 'etc/one': '1' } }, { files: { 'etc/two': '2'.repeat(70_000) } }];
    const changes = ['CMD ["cat","/etc/one"]', 'ENV A=b', 'LABEL c=d', 'EXPOSE 80', 'USER app'];
    const options = { layers, compression, changes, author: 'me', message: 'made', epoch: EPOCH };
    await buildImage(store, parseReference(`made/${compression}:1`), options);
  }
  await squashImage(store, findImage(store, 'made/gzip:1'), parseReference('squashed:1'), { epoch: EPOCH });
}

test('an image made on a base without a history has one of all its layers', async (t) => {
  if (!requires(t, root)) return;
  using directory = tempDir('rules');
  await using registry = await layoutRegistry();
  registry.publish({ 'base:1': (await addImage(registry.content, [{ a: '1' }, { b: '2' }])).root });
  await using store = await openTestStore({ root: join(directory.path, 'store') });
  const base = `${registry.host}/base:1`;
  await pullFrom(store, base);
  const options = { from: findImage(store, base), layers: [{ files: { c: '3' } }], epoch: EPOCH };
  await buildImage(store, parseReference('made:1'), options);
  const layout = join(directory.path, 'layout');
  await saveDirectory(store, [findImage(store, 'made:1')], layout);
  assert.deepEqual(checkLayoutRules(layout), { manifests: 1, layers: 3 });
  const { config } = await readImage(store, findImage(store, 'made:1'));
  assert.deepEqual(
    config.history.map(({ created_by }) => created_by),
    [undefined, undefined, 'tslayer build'],
  );
});

test('a layout, an archive and the store itself are what image-spec asks for', async (t) => {
  if (!requires(t, root)) return;
  using directory = tempDir('rules');
  await using store = await openTestStore({ root: join(directory.path, 'store') });
  await makeImages(store);
  const images = store.metadata.images.list();
  const expected = { manifests: 4, layers: 7 };

  const layout = join(directory.path, 'layout');
  await saveDirectory(store, images, layout);
  assert.deepEqual(checkLayoutRules(layout), expected);

  const [archive, unpacked] = [join(directory.path, 'all.tar'), join(directory.path, 'unpacked')];
  await saveFile(store, images, 'oci-archive', archive);
  mkdirSync(unpacked);
  execFileSync('tar', ['-xf', archive, '-C', unpacked]);
  assert.deepEqual(checkLayoutRules(unpacked), expected);

  assert.deepEqual(checkLayoutRules(store.paths.root), expected);
});

test('the rules notice what breaks them', async (t) => {
  if (!requires(t, root)) return;
  using directory = tempDir('rules');
  await using store = await openTestStore({ root: join(directory.path, 'store') });
  await makeImages(store);
  const layout = join(directory.path, 'layout');
  await saveDirectory(store, store.metadata.images.list(), layout);
  const path = join(layout, 'index.json');
  const good = readFileSync(path, 'utf8');
  for (const [text, by] of [
    ['"size":', '"size":1'],
    ['"schemaVersion":2', '"schemaVersion":1'],
    ['image.manifest.v1+json"', 'image.index.v1+json"'],
    ['made/gzip:1', '-made'],
  ] as const) {
    assert.ok(good.includes(text), text);
    writeFileSync(path, good.replaceAll(text, by));
    assert.throws(() => checkLayoutRules(layout), assert.AssertionError, `${text} as ${by}`);
  }
});
