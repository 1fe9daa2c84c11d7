/** What is remembered of uploads: by one process at a time, for a time, and never in the way. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { collectGarbage } from '../../../src/images/gc.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { REMEMBERED_BYTES, uploadMemory } from '../../../src/images/upload-memory.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_LAYER } from '../../../src/oci/media-types.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const REPOSITORY = { registry: 'registry.example', repository: 'app' };
const BLOB = { mediaType: OCI_LAYER, digest: digestOf('a layer'), size: REMEMBERED_BYTES };
const UPLOAD = { endpoint: 'https://registry.example/v2', location: 'https://registry.example/u/1?_state=secret' };
const DAY = 24 * 60 * 60;

const memoryOf = (store: OpenStore, repository = REPOSITORY, blob = BLOB) => {
  const memory = uploadMemory(store.paths, repository, blob);
  assert.ok(memory);
  return memory;
};

const kept = ({ paths }: OpenStore) => readdirSync(paths.uploads);

function keepOne(store: OpenStore): string {
  using memory = memoryOf(store);
  memory.keep(UPLOAD);
  const [name = ''] = kept(store);
  return join(store.paths.uploads, name);
}

test('an upload is recalled for the same blob at the same place, and no other', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  const path = keepOne(store);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  using same = memoryOf(store);
  assert.deepEqual(same.recall(), UPLOAD);
  assert.equal(memoryOf(store, { ...REPOSITORY, repository: 'other' }).recall(), undefined);
  assert.equal(memoryOf(store, REPOSITORY, { ...BLOB, digest: digestOf('other') }).recall(), undefined);
  assert.equal(uploadMemory(store.paths, REPOSITORY, { ...BLOB, size: REMEMBERED_BYTES - 1 }), undefined);
  same.forget();
  assert.deepEqual(kept(store), []);
  same.keep(UPLOAD);
  assert.deepEqual(kept(store), [], 'over is over');
});

test('a blob that is there already: what brought it is forgotten', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  keepOne(store);
  memoryOf(store).forget();
  assert.deepEqual(kept(store), []);
});

test('two pushes of a blob: one of them remembers, and the other leaves that alone', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  using first = memoryOf(store);
  using second = memoryOf(store);
  first.keep(UPLOAD);
  assert.equal(second.recall(), undefined);
  second.keep({ ...UPLOAD, location: 'https://registry.example/u/2' });
  second.forget();
  assert.deepEqual(JSON.parse(readFileSync(join(store.paths.uploads, kept(store)[0] ?? ''), 'utf8')), UPLOAD);
});

test('what a crash cut short is none', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  const path = keepOne(store);
  for (const text of ['', JSON.stringify(UPLOAD).slice(0, 30), '{"endpoint":1}']) {
    writeFileSync(path, text);
    using memory = memoryOf(store);
    assert.equal(memory.recall(), undefined, text);
  }
});

test('a store made by an older version, which has no place for them', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  rmSync(store.paths.uploads, { recursive: true });
  using memory = memoryOf(store);
  assert.equal(memory.recall(), undefined);
  memory.forget();
  assert.deepEqual((await collectGarbage(store)).removed, []);
  keepOne(store);
  assert.equal(statSync(store.paths.uploads).mode & 0o777, 0o700);
});

test('it goes after a day, when a store is opened', async () => {
  using dir = tempDir('uploads');
  const root = join(dir.path, 'store');
  await using store = await openTestStore({ root });
  const path = keepOne(store);
  const open = async (age: number) => {
    utimesSync(path, Date.now() / 1000 - age, Date.now() / 1000 - age);
    await using _again = await openTestStore({ root });
    return kept(store).length;
  };
  assert.equal(await open(DAY - 60), 1);
  using memory = memoryOf(store);
  memory.recall();
  assert.equal(await open(DAY + 60), 1, 'somebody is at it');
  memory[Symbol.dispose]();
  assert.equal(await open(DAY + 60), 0);
});

test('gc --interrupted forgets it at once, and says so', async () => {
  using dir = tempDir('uploads');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  keepOne(store);
  assert.deepEqual((await collectGarbage(store)).removed, []);
  const would = await collectGarbage(store, { dryRun: true, interrupted: true });
  assert.deepEqual(
    would.removed.map(({ kind }) => kind),
    ['upload'],
  );
  assert.equal(kept(store).length, 1);
  await collectGarbage(store, { interrupted: true });
  assert.deepEqual(kept(store), []);
});
