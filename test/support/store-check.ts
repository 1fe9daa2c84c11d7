/**
 * Holds a store against its own promises: rows and disk agree, nothing unfinished is left but what a later pull goes
 * on with, the layout is valid. Independent of `fsck`, so that each is witness of the other.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenStore } from '../../src/images/store.ts';
import type { LeaseRow } from '../../src/metadata/leases.ts';
import { namesIn } from '../../src/sys/names-in.ts';
import { collect } from './collect.ts';

export interface StoreCheckOptions {
  /** Allow partial blobs, uploads and leases: something was interrupted and can go on. */
  readonly resumable?: boolean;
  /** Allow unfinished uploads: a push failed, and the next one can go on. */
  readonly unfinishedPushes?: boolean;
  /** Allow files that no row knows: a power loss took the rows. */
  readonly leftovers?: boolean;
}

export async function checkStore(store: OpenStore, options: StoreCheckOptions = {}): Promise<void> {
  const { metadata, paths } = store;
  assert.deepEqual(metadata.database.check(), [], 'the database is sound');
  await checkBlobs(store, options);
  await checkLayers(store, options);
  checkLayout(store);
  assert.deepEqual(metadata.garbage.list(), [], 'no garbage rows');
  assert.deepEqual(readdirSync(paths.locks), [], 'no lock files');
  if (options.resumable) return;
  assert.deepEqual(readdirSync(paths.ingest), [], 'no partial blobs');
  if (!options.unfinishedPushes) assert.deepEqual(readdirSync(paths.uploads), [], 'no unfinished uploads');
  const isPin = (lease: LeaseRow) => lease.session === null && lease.expiresAt === null;
  assert.deepEqual(
    metadata.leases.list().filter((lease) => !isPin(lease)),
    [],
    'no leases but pins',
  );
  assert.deepEqual(
    // Overwritten by the next writer, which has the lock.
    readdirSync(paths.tmp).filter((name) => name !== 'index.json' && name !== 'new'),
    [],
    'no scratch files',
  );
}

/** Nothing at all: no blob, no layer, no name. */
export async function checkEmpty(store: OpenStore): Promise<void> {
  await checkStore(store);
  assert.deepEqual(store.metadata.blobs.list(), [], 'no blobs');
  assert.deepEqual(store.metadata.layers.list(), [], 'no layers');
  assert.deepEqual(store.metadata.images.list(), [], 'no images');
}

async function checkBlobs(store: OpenStore, options: StoreCheckOptions): Promise<void> {
  const { metadata, blobs } = store;
  const onDisk = new Map((await collect(blobs.list())).map(({ digest, size }) => [digest, size]));
  for (const row of metadata.blobs.list()) {
    assert.equal(onDisk.get(row.digest), row.size, `blob ${row.digest} has its size`);
    const hash = createHash('sha256')
      .update(readFileSync(blobs.path(row.digest)))
      .digest('hex');
    assert.equal(`sha256:${hash}`, row.digest, 'a blob is what its name says');
    onDisk.delete(row.digest);
  }
  for (const digest of options.leftovers ? [] : onDisk.keys()) {
    assert.ok(options.resumable && metadata.leases.holds('blob', digest), `no row knows the blob ${digest}`);
  }
  for (const image of metadata.images.list()) {
    for (const { child } of metadata.blobs.refs(image.manifest)) {
      assert.ok(metadata.blobs.has(child), `${image.name} has its blob ${child}`);
    }
  }
}

async function checkLayers(store: OpenStore, options: StoreCheckOptions): Promise<void> {
  const { metadata } = store;
  const rows = metadata.layers.list().map((row) => row.id);
  const writable = metadata.snapshots.writable().flatMap((row) => row.id ?? []);
  if (store.driverName === undefined) {
    assert.deepEqual(rows, []);
    return;
  }
  const driver = await store.driver();
  const named = [...rows, ...writable];
  const onDisk = (await collect(driver.list())).filter((id) => !options.leftovers || named.includes(id));
  assert.deepEqual(onDisk.sort(), named.sort(), 'the driver has the layers and snapshots that rows name');
  assert.deepEqual(namesIn(join(store.paths.layers, '.underway')), [], 'no layer is half made or half gone');
  for (const image of metadata.images.list().filter((row) => row.unpacked && row.chainId !== null)) {
    assert.ok(metadata.snapshots.get(image.chainId as string), `${image.name} has its stack`);
  }
}

function checkLayout({ metadata, paths }: OpenStore): void {
  assert.deepEqual(JSON.parse(readFileSync(paths.ociLayout, 'utf8')), { imageLayoutVersion: '1.0.0' });
  const index = JSON.parse(readFileSync(paths.index, 'utf8'));
  assert.equal(index.schemaVersion, 2);
  const named = index.manifests.map(
    (entry: { annotations: Record<string, string> }) => entry.annotations['org.opencontainers.image.ref.name'],
  );
  assert.deepEqual(
    named,
    metadata.images.list().map((image) => image.name),
    'index.json names what the rows name',
  );
  for (const { digest, size } of index.manifests) {
    assert.equal(metadata.blobs.get(digest)?.size, size, 'index.json names blobs that are there');
  }
}
