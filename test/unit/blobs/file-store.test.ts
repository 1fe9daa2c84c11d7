import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Ingest } from '../../../src/blobs/blob-store.ts';
import { FileBlobStore } from '../../../src/blobs/file-store.ts';
import { isTslayerError } from '../../../src/errors.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../../src/oci/digest.ts';
import { ingestPath, STORE_DIRECTORIES, type StorePaths, storePaths } from '../../../src/store-layout.ts';
import { collect } from '../../support/collect.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

let directory: TempDir;
let paths: StorePaths;
let store: FileBlobStore;
const bytes = randomBytes(3_000_000);
const digest = digestOf(bytes);
const descriptor: Descriptor = { mediaType: 'application/octet-stream', digest, size: bytes.length };

beforeEach(() => {
  directory = tempDir('blobs');
  paths = storePaths(directory.path);
  for (const name of STORE_DIRECTORIES) mkdirSync(paths[name]);
  store = new FileBlobStore(paths);
});

afterEach(() => directory[Symbol.dispose]());

async function begin(): Promise<Ingest> {
  const ingest = await store.ingest(descriptor);
  assert.ok(ingest);
  return ingest;
}

async function read(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await collect(stream));
}

function nothingLeft(): void {
  assert.deepEqual(readdirSync(paths.ingest), []);
}

describe('a blob', () => {
  test('is there after its commit, and not a moment before', async () => {
    await using ingest = await begin();
    for (let at = 0; at < bytes.length; at += 100_000) ingest.write(bytes.subarray(at, at + 100_000));
    assert.equal(store.stat(digest), undefined);
    assert.deepEqual(await ingest.commit(), { digest, size: bytes.length });
    assert.deepEqual(store.stat(digest), { digest, size: bytes.length });
    assert.deepEqual(await read(store.open(digest)), bytes);
    nothingLeft();
  });

  test('that is there already is not written again', async () => {
    await store.put(digest, bytes);
    const before = statSync(store.path(digest)).ino;
    assert.equal(await store.ingest(descriptor), undefined);
    await store.put(digest, bytes);
    assert.equal(statSync(store.path(digest)).ino, before);
    nothingLeft();
  });

  test('is read in part: start inclusive, end exclusive', async () => {
    await store.put(digest, bytes);
    assert.deepEqual(await read(store.open(digest, { start: 10, end: 20 })), bytes.subarray(10, 20));
    assert.deepEqual(await read(store.open(digest, { start: 2_999_990 })), bytes.subarray(2_999_990));
    assert.equal((await read(store.open(digest, { start: 5, end: 5 }))).length, 0);
  });

  test('that was damaged on the disk is not returned whole', async () => {
    await store.put(digest, bytes);
    writeFileSync(store.path(digest), Buffer.alloc(bytes.length));
    await assert.rejects(store.read(digest), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
  });

  test('is listed and removed', async () => {
    await store.put(digest, bytes);
    assert.deepEqual(await collect(store.list()), [{ digest, size: bytes.length }]);
    await store.remove(digest);
    await store.remove(digest);
    assert.deepEqual(await collect(store.list()), []);
    await assert.rejects(store.read(digest), (error) => isTslayerError(error, 'NOT_FOUND'));
  });

  test('of sha512 is kept beside those of sha256', async () => {
    const long = digestOf('x', 'sha512');
    await store.put(long, Buffer.from('x'));
    assert.equal(Buffer.from(await store.read(long)).toString(), 'x');
    assert.deepEqual(readdirSync(paths.blobs), ['sha512']);
  });
});

describe('bytes that are not what their digest says', () => {
  test('a flipped byte', async () => {
    await using ingest = await begin();
    const wrong = Buffer.from(bytes);
    wrong[1_000_000]! ^= 1;
    ingest.write(wrong);
    await assert.rejects(ingest.commit(), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
    nothingLeft();
    assert.equal(store.stat(digest), undefined);
  });

  test('too short', async () => {
    await using ingest = await begin();
    ingest.write(bytes.subarray(1));
    await assert.rejects(ingest.commit(), (error) => isTslayerError(error, 'SIZE_MISMATCH'));
    nothingLeft();
  });

  test('too long, refused at the byte where it becomes so', async () => {
    await using ingest = await begin();
    ingest.write(bytes);
    assert.throws(
      () => ingest.write(Buffer.alloc(1)),
      (error) => isTslayerError(error, 'SIZE_MISMATCH'),
    );
    nothingLeft();
  });

  test('a size that differs from the stored blob of that digest', async () => {
    await store.put(digest, bytes);
    await assert.rejects(store.ingest({ ...descriptor, size: 5 }), (error) => isTslayerError(error, 'SIZE_MISMATCH'));
  });

  test('bytes in memory that do not hash to their name are not stored', async () => {
    await assert.rejects(store.put(digest, Buffer.from('other')), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
    nothingLeft();
  });
});

describe('going on after an interruption', () => {
  async function interrupt(length: number): Promise<void> {
    await using ingest = await begin();
    ingest.write(bytes.subarray(0, length));
  }

  test('the next ingest begins where the last one stopped', async () => {
    await interrupt(1_234_567);
    await using ingest = await begin();
    assert.equal(ingest.offset, 1_234_567);
    assert.deepEqual(await read(ingest.readPartial()), bytes.subarray(0, 1_234_567));
    ingest.write(bytes.subarray(ingest.offset));
    await ingest.commit();
    assert.deepEqual(await store.read(digest), bytes);
  });

  test('nothing written leaves nothing', async () => {
    await interrupt(0);
    nothingLeft();
  });

  test('a garbled partial is found at the end and thrown away', async () => {
    writeFileSync(ingestPath(paths, digest), Buffer.alloc(500_000));
    await using ingest = await begin();
    assert.equal(ingest.offset, 500_000);
    ingest.write(bytes.subarray(500_000));
    await assert.rejects(ingest.commit(), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
    nothingLeft();
  });

  test('a partial longer than the blob is forgotten', async () => {
    writeFileSync(ingestPath(paths, digest), Buffer.alloc(bytes.length + 1));
    await using ingest = await begin();
    assert.equal(ingest.offset, 0);
    ingest.write(bytes);
    await ingest.commit();
  });

  test('restart begins at zero with a fresh hash', async () => {
    await interrupt(1000);
    await using ingest = await begin();
    ingest.restart();
    assert.equal(ingest.offset, 0);
    ingest.write(bytes);
    await ingest.commit();
    assert.deepEqual(await store.read(digest), bytes);
  });

  test('partials are listed, and can be held and removed unless someone writes them', async () => {
    await interrupt(1000);
    const listed = await collect(store.listPartial());
    assert.deepEqual(
      listed.map((partial) => [partial.digest, partial.size]),
      [[digest, 1000]],
    );
    {
      await using _busy = await begin();
      assert.equal(await store.hold(digest), undefined);
    }
    {
      using held = await store.hold(digest);
      held?.removePartial();
    }
    nothingLeft();
  });
});

describe('two writers of one digest', () => {
  test('the second waits, hears how far the first is, and finds the blob there', async () => {
    const first = await begin();
    first.write(bytes.subarray(0, 1000));
    const heard = Promise.withResolvers<number>();
    const second = new FileBlobStore(paths).ingest(descriptor, { onWait: heard.resolve });
    assert.equal(await heard.promise, 1000);
    first.write(bytes.subarray(1000));
    await first.commit();
    assert.equal(await second, undefined);
    nothingLeft();
  });

  test('the second goes on when the first gives up', async () => {
    const first = await begin();
    first.write(bytes.subarray(0, 1000));
    const second = new FileBlobStore(paths).ingest(descriptor);
    await first[Symbol.asyncDispose]();
    await using ingest = await second;
    assert.equal(ingest?.offset, 1000);
  });

  test('waiting ends when the caller gives up', async () => {
    await using _first = await begin();
    const controller = new AbortController();
    const second = store.ingest(descriptor, { signal: controller.signal });
    controller.abort();
    await assert.rejects(second, (error) => isTslayerError(error, 'ABORTED'));
  });

  test('whoever holds a digest for removal keeps writers out', async () => {
    const held = await store.hold(digest);
    assert.ok(held);
    const waiting = new FileBlobStore(paths).ingest(descriptor);
    assert.equal(await new FileBlobStore(paths).hold(digest as Digest), undefined);
    held[Symbol.dispose]();
    await using ingest = await waiting;
    assert.ok(ingest);
    assert.equal(await store.hold(digest), undefined);
  });

  test('a blob that is just being removed is no blob that is there', async () => {
    await store.put(digest, bytes);
    const held = await store.hold(digest);
    const waiting = new FileBlobStore(paths).ingest(descriptor);
    await store.remove(digest);
    held?.[Symbol.dispose]();
    await using ingest = await waiting;
    assert.ok(ingest, 'the second has to write it anew');
  });

  test('whoever removed a partial leaves that of the next writer alone', async () => {
    const held = await store.hold(digest);
    held?.removePartial();
    await using _next = await begin();
    held?.[Symbol.dispose]();
    assert.equal(await store.hold(digest), undefined);
  });
});

test('a blob larger than the free space is refused before a byte is written', async () => {
  const huge = { ...descriptor, size: Number.MAX_SAFE_INTEGER };
  await assert.rejects(store.ingest(huge), (error) => isTslayerError(error, 'NO_SPACE'));
  nothingLeft();
  assert.equal(existsSync(store.path(digest)), false);
});
