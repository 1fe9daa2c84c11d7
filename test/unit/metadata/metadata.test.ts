import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { isTslayerError } from '../../../src/errors.ts';
import type { ImageRow } from '../../../src/metadata/images.ts';
import { type Metadata, openMetadata } from '../../../src/metadata/metadata.ts';
import { asChainID, asDiffID, type Digest, digestOf } from '../../../src/oci/digest.ts';

let directory: string;
let path: string;
let metadata: Metadata;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tslayer-metadata-'));
  path = join(directory, 'metadata.db');
  metadata = openMetadata(path);
});

afterEach(() => {
  metadata[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

function putBlob(name: string): Digest {
  const digest = digestOf(name);
  metadata.blobs.put({ digest, size: name.length, kind: 'other', mediaType: 'text/plain', addedAt: 1 });
  return digest;
}

function image(name: string, digest: Digest, changes: Partial<ImageRow> = {}): ImageRow {
  return {
    name,
    target: digest,
    manifest: digest,
    config: digest,
    platform: 'linux/amd64',
    chainId: null,
    unpacked: false,
    allPlatforms: false,
    source: 'test',
    createdAt: null,
    pulledAt: 1,
    usedAt: 1,
    ...changes,
  };
}

function putLayer(name: string): { key: ReturnType<typeof asDiffID>; id: string } {
  const key = asDiffID(digestOf(name));
  const [id = ''] = metadata.settings.reserveIds(1);
  metadata.layers.put({ key, id, diffId: key, tarSize: 1, bytes: 1, inodes: 1, indexed: false, addedAt: 1 });
  return { key, id };
}

describe('the database', () => {
  test('keeps what was committed and reads it in a second connection', () => {
    const digest = putBlob('a');
    metadata.images.put(image('a:1', digest, { unpacked: true }));
    using second = openMetadata(path);
    assert.deepEqual(second.images.get('a:1'), image('a:1', digest, { unpacked: true }));
  });

  test('rolls back a transaction that throws', () => {
    assert.throws(() =>
      metadata.transaction(() => {
        putBlob('a');
        throw new Error('no');
      }),
    );
    assert.equal(metadata.blobs.has(digestOf('a')), false);
  });

  test('refuses a transaction that would await, and rolls it back', () => {
    assert.throws(() => metadata.transaction(async () => putBlob('a')), /may not await/);
    assert.equal(metadata.blobs.has(digestOf('a')), false);
  });

  test('joins an inner transaction to the outer one', () => {
    assert.throws(() =>
      metadata.transaction(() => {
        metadata.transaction(() => putBlob('a'));
        throw new Error('no');
      }),
    );
    assert.equal(metadata.blobs.has(digestOf('a')), false);
  });

  test('says that a newer program wrote it, and touches nothing', () => {
    const sqlite = new Sqlite(path);
    sqlite.pragma('user_version = 999');
    sqlite.close();
    assert.throws(
      () => openMetadata(path),
      (error) => isTslayerError(error, 'UNSUPPORTED') && /version 999/.test(error.message),
    );
  });

  test('says when the file is no database', () => {
    const other = join(directory, 'other.db');
    const sqlite = new Sqlite(other);
    sqlite.close();
    rmSync(other);
    assert.throws(
      () => openMetadata(other, { create: false }),
      (error) => isTslayerError(error),
    );
  });

  test('finds itself sound', () => {
    assert.deepEqual(metadata.database.check(), []);
  });
});

describe('foreign keys', () => {
  test('an image never names a blob that is not there', () => {
    assert.throws(() => metadata.images.put(image('a:1', digestOf('absent'))));
  });

  test('a blob that an image names cannot be deleted', () => {
    const digest = putBlob('a');
    metadata.images.put(image('a:1', digest));
    assert.throws(() => metadata.blobs.delete(digest));
    metadata.images.delete('a:1');
    assert.equal(metadata.blobs.delete(digest), true);
  });

  test('a snapshot with children cannot be deleted', () => {
    const base = putLayer('base');
    const chain = asChainID(base.key);
    metadata.snapshots.putChain(chain, undefined, base.key, 1);
    const active = { kind: 'active', layer: null, manifest: null, labels: {}, createdAt: 1 } as const;
    metadata.snapshots.put({ ...active, key: 'work', parent: chain, id: 'x1' });
    assert.throws(() => metadata.snapshots.delete(chain));
    metadata.snapshots.delete('work');
    assert.equal(metadata.snapshots.delete(chain), true);
  });
});

describe('rows', () => {
  test('short ids are never given out twice and fit a driver', () => {
    const ids = [1, 64, 2, 33].flatMap((count) => metadata.settings.reserveIds(count));
    assert.equal(new Set(ids).size, 100);
    for (const id of ids) assert.match(id, /^[0-9a-z]{1,16}$/);
  });

  test('a setting that is set once stays', () => {
    assert.equal(metadata.settings.setOnce('driver', 'vfs'), 'vfs');
    assert.equal(metadata.settings.setOnce('driver', 'erofs'), 'vfs');
  });

  test('a stack is listed top first', () => {
    const layers = ['base', 'middle', 'top'].map(putLayer);
    const chains = ['c1', 'c2', 'c3'].map((name) => asChainID(digestOf(name)));
    layers.forEach((layer, i) => {
      metadata.snapshots.putChain(chains[i]!, chains[i - 1], layer.key, 1);
    });
    assert.deepEqual(
      metadata.layers.stack(chains[2]!).map((layer) => layer.id),
      layers.map((layer) => layer.id).reverse(),
    );
    assert.deepEqual(metadata.layers.stack(asChainID(digestOf('none'))), []);
  });

  test('images are found by a prefix of their id, and by nothing shorter than they are', () => {
    const digest = putBlob('a');
    metadata.images.put(image('a:1', digest));
    assert.equal(metadata.images.byPrefix(digest.slice(0, 12)).length, 1);
    assert.equal(metadata.images.byPrefix(digest).length, 1);
    assert.equal(metadata.images.byPrefix('sha256:0000000').length, 0);
  });

  test('repositories of a registry that have a blob are found by the names that hold it', () => {
    const layer = digestOf('layer');
    const withLayer = (name: string, children = [layer]) => {
      const manifest = putBlob(name);
      metadata.blobs.putRefs(
        manifest,
        children.map((digest) => ({ digest, size: 1 })),
      );
      metadata.images.put(image(name, manifest));
    };
    const names = ['h/app:1', 'h/app/sub:1', 'h/app-2:1', 'h/other@sha256:1', 'hh/app:1', 'i/app:1'];
    for (const name of names) withLayer(name);
    withLayer('h/without:1', [digestOf('another')]);
    const found = metadata.images.namesWith(layer, 'h/', 'h/app').sort();
    assert.deepEqual(found, ['h/app-2:1', 'h/app/sub:1', 'h/other@sha256:1']);
  });

  test('refs keep their order and go with their parent', () => {
    const parent = putBlob('manifest');
    const children = ['z', 'a', 'm'].map((name) => ({ digest: digestOf(name), size: 1 }));
    metadata.blobs.putRefs(parent, children);
    assert.deepEqual(
      metadata.blobs.refs(parent).map((ref) => ref.child),
      children.map((child) => child.digest),
    );
    assert.deepEqual(metadata.blobs.parents(digestOf('a')), [parent]);
    metadata.blobs.delete(parent);
    assert.deepEqual(metadata.blobs.parents(digestOf('a')), []);
  });

  test('a lease holds what it names until it is deleted', () => {
    metadata.leases.put({ id: 'l', session: 's', purpose: 'test', createdAt: 1, expiresAt: null });
    metadata.leases.addRefs('l', [{ kind: 'blob', key: 'k' }]);
    metadata.leases.addRefs('l', [{ kind: 'blob', key: 'k' }]);
    assert.equal(metadata.leases.holds('blob', 'k'), true);
    assert.deepEqual(metadata.sessions(), ['s']);
    metadata.leases.delete('l');
    assert.equal(metadata.leases.holds('blob', 'k'), false);
    assert.deepEqual(metadata.sessions(), []);
  });
});
