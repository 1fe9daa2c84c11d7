/**
 * Things on the disk that no row knows: left by a power loss, by a lost database or by a hand. What a living process
 * is making has a lease or a garbage row before it appears, so it is looked for on the disk first and in the rows
 * afterwards.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { throwIfAborted } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import { blobPath } from '../store-layout.ts';
import { removeBlobFile } from './collect.ts';
import type { StoreContext } from './context.ts';
import { staleCaches } from './stack-caches.ts';

export interface Orphan {
  readonly kind: 'blob' | 'layer' | 'cache' | 'partial' | 'file';
  /** Digest of a blob or partial, the driver's id of a layer, a name of the others. */
  readonly key: string;
  /** Below ROOT. */
  readonly path: string;
  readonly bytes: number;
  readonly because: string;
}

export async function findOrphans(context: StoreContext): Promise<Orphan[]> {
  return [
    ...(await orphanBlobs(context)),
    ...(await orphanPartials(context)),
    ...(await orphanLayers(context)),
    ...(await orphanCaches(context)),
    ...orphanFiles(context),
  ];
}

export async function removeOrphans(
  context: StoreContext,
  orphans: readonly Orphan[],
  { signal }: OperationOptions = {},
): Promise<void> {
  for (const orphan of orphans) {
    throwIfAborted(signal);
    if (orphan.kind === 'blob' || orphan.kind === 'partial') await removeBlobFile(context, orphan.key as Digest);
    else if (orphan.kind === 'layer') await context.layers.removeFromDisk(orphan.key);
    else if (orphan.kind === 'cache') await (await context.driver()).caches?.remove(orphan.key);
    else rmSync(join(context.paths.root, orphan.path), { recursive: true, force: true });
  }
}

async function orphanBlobs({ blobs, metadata, paths }: StoreContext): Promise<Orphan[]> {
  const found = [...blobs.digests()];
  const known = new Set<string>(metadata.database.lists(['digest'], 'SELECT digest FROM blobs')[0]);
  const garbage = garbageKeys(metadata);
  return found
    .filter((digest) => !known.has(digest) && !garbage.has(digest) && !metadata.leases.holds('blob', digest))
    .map((digest) => ({
      kind: 'blob',
      key: digest,
      path: blobPath(paths, digest).slice(paths.root.length + 1),
      bytes: blobs.stat(digest)?.size ?? 0,
      because: 'no row knows it',
    }));
}

async function orphanPartials({ blobs, metadata }: StoreContext): Promise<Orphan[]> {
  const found: Orphan[] = [];
  for await (const { digest, bytesOnDisk } of blobs.listPartial()) {
    if (metadata.leases.holds('blob', digest)) continue;
    const path = `ingest/${digest.replace(':', '-')}`;
    found.push({ kind: 'partial', key: digest, path, bytes: bytesOnDisk, because: 'no pull will go on with it' });
  }
  return found;
}

async function orphanLayers(context: StoreContext): Promise<Orphan[]> {
  const { metadata } = context;
  if (context.driverName === undefined) return [];
  const driver = await context.driver();
  const found: string[] = [];
  for await (const id of driver.list()) found.push(id);
  const sql = 'SELECT id FROM layers UNION ALL SELECT id FROM snapshots WHERE id IS NOT NULL';
  const known = new Set(metadata.database.lists(['id'], sql)[0]);
  const garbage = garbageKeys(metadata);
  const orphans = found.filter((id) => !known.has(id) && !garbage.has(id));
  const bytesOf = async (id: string) => (await driver.usage(id)).bytes;
  return Promise.all(
    orphans.map(async (id) => ({
      kind: 'layer' as const,
      key: id,
      path: `layers/${id}`,
      bytes: await bytesOf(id),
      because: 'no row knows it',
    })),
  );
}

async function orphanCaches(context: StoreContext): Promise<Orphan[]> {
  if (context.driverName === undefined) return [];
  const stale = await staleCaches(context);
  return stale.map(({ name, bytes }) => ({
    kind: 'cache',
    key: name,
    path: `layers/${name}`,
    bytes,
    because: 'no image has these layers in this order',
  }));
}

/** Indexes of layers that are gone. */
function orphanFiles({ paths, metadata }: StoreContext): Orphan[] {
  const names = readdirSync(paths.indexes);
  const garbage = garbageKeys(metadata);
  return names
    .filter((name) => !garbage.has(name) && metadata.layers.byId(name) === undefined)
    .map((name) => {
      const path = `indexes/${name}`;
      const bytes = (lstatSync(join(paths.root, path), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
      return { kind: 'file', key: name, path, bytes, because: 'its layer is gone' };
    });
}

function garbageKeys(metadata: StoreContext['metadata']): Set<string> {
  return new Set(metadata.garbage.list().map((row) => row.key));
}
