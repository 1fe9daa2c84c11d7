/**
 * Takes away content that nothing holds any more. Rows go first, in one durable transaction that sees every name,
 * snapshot and lease; each thing becomes a garbage row there; then the disk follows. Removing starts from
 * candidates and goes on to what they alone held, so that its cost is that of what goes, not of the store.
 */
import type { GarbageRow } from '../metadata/garbage.ts';
import type { LayerKey } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';

export interface Candidates {
  readonly blobs?: Iterable<Digest>;
  readonly chains?: Iterable<ChainID>;
  readonly layers?: Iterable<LayerKey>;
}

/** What went. Bytes of blobs are their sizes, those of layers what they occupied. */
export interface Collected {
  readonly blobs: readonly { readonly digest: Digest; readonly bytes: number }[];
  /** `id` is the driver's. */
  readonly layers: readonly { readonly id: string; readonly key: LayerKey; readonly bytes: number }[];
  readonly chains: readonly ChainID[];
}

export function collectedBytes({ blobs, layers }: Collected): number {
  return [...blobs, ...layers].reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether a blob is held, and by what: for the collector and for those who explain it. */
export function blobIsHeld({ database, leases }: Metadata, digest: Digest): boolean {
  if (leases.holds('blob', digest)) return true;
  const sql = `SELECT 1 WHERE EXISTS (SELECT 1 FROM images WHERE target = ? OR manifest = ? OR config = ?)
    OR EXISTS (SELECT 1 FROM snapshots WHERE manifest = ?)
    OR EXISTS (SELECT 1 FROM refs WHERE child = ?)`;
  return database.get(sql, digest, digest, digest, digest, digest) !== undefined;
}

export function chainIsHeld({ database, leases }: Metadata, chain: ChainID): boolean {
  if (leases.holds('snapshot', chain)) return true;
  const sql = `SELECT 1 WHERE EXISTS (SELECT 1 FROM images WHERE chain_id = ?)
    OR EXISTS (SELECT 1 FROM snapshots WHERE parent = ?)`;
  return database.get(sql, chain, chain) !== undefined;
}

export function layerIsHeld({ database, leases }: Metadata, key: LayerKey): boolean {
  if (leases.holds('layer', key)) return true;
  return database.get('SELECT 1 FROM snapshots WHERE layer = ?', key) !== undefined;
}

/**
 * Deletes the rows of those candidates that nothing holds, and of what they alone held, and records each as garbage
 * of `session`. Call it inside a durable transaction, and `removeGarbage` after it.
 */
export function dropUnheld(metadata: Metadata, session: string, candidates: Candidates): Collected {
  const dropped = {
    blobs: [] as { digest: Digest; bytes: number }[],
    layers: [] as { id: string; key: LayerKey; bytes: number }[],
    chains: [] as ChainID[],
  };
  const blobs = [...(candidates.blobs ?? [])];
  for (let digest = blobs.pop(); digest !== undefined; digest = blobs.pop()) {
    const row = metadata.blobs.get(digest);
    if (row === undefined || blobIsHeld(metadata, digest)) continue;
    blobs.push(...metadata.blobs.refs(digest).map((ref) => ref.child));
    metadata.blobs.delete(digest);
    metadata.garbage.put({ kind: 'blob', key: digest, session });
    dropped.blobs.push({ digest, bytes: row.size });
  }
  const layers = [...(candidates.layers ?? [])];
  const chains = [...(candidates.chains ?? [])];
  for (let chain = chains.pop(); chain !== undefined; chain = chains.pop()) {
    const row = metadata.snapshots.get(chain);
    if (row?.kind !== 'committed' || chainIsHeld(metadata, chain)) continue;
    metadata.snapshots.delete(chain);
    dropped.chains.push(chain);
    if (row.parent !== null) chains.push(row.parent);
    if (row.layer !== null) layers.push(row.layer);
  }
  for (const key of layers) {
    const row = metadata.layers.get(key);
    if (row === undefined || layerIsHeld(metadata, key)) continue;
    metadata.layers.delete(key);
    metadata.garbage.put({ kind: 'layer', key: row.id, session });
    dropped.layers.push({ id: row.id, key, bytes: row.bytes });
  }
  return dropped;
}

/** Drops what nothing holds of the candidates, rows and disk. */
export async function collect(context: StoreContext, candidates: Candidates): Promise<Collected> {
  const session = await context.session.open();
  const { metadata } = context;
  const dropped = metadata.transaction(() => dropUnheld(metadata, session, candidates), { durable: true });
  await removeDropped(context, dropped, session);
  return dropped;
}

export async function removeDropped(context: StoreContext, dropped: Collected, session: string): Promise<void> {
  await removeGarbage(context, [
    ...dropped.blobs.map(({ digest }) => ({ kind: 'blob' as const, key: digest, session })),
    ...dropped.layers.map(({ id }) => ({ kind: 'layer' as const, key: id, session })),
  ]);
  // Also of a stack whose layers stay, for another image that lies on it.
  if (context.driverName === undefined) return;
  const { removeStaleCaches } = await import('./stack-caches.ts');
  await removeStaleCaches(context);
}

/** Things removed at a time: large files take the kernel a while, one thread each. */
const LANES = 4;

/**
 * Removes from the disk what garbage rows name, and the rows with it. What cannot be removed keeps its row, for a
 * later sweep; the first reason is thrown when all the others are gone.
 */
export async function removeGarbage(context: StoreContext, rows: readonly GarbageRow[]): Promise<void> {
  const done: GarbageRow[] = [];
  const failures: unknown[] = [];
  const left = rows.values();
  const lane = async (): Promise<void> => {
    for (const row of left) {
      try {
        if (await removeFromDisk(context, row)) done.push(row);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  if (done.length > 0) {
    context.metadata.transaction(() => {
      for (const row of done) context.metadata.garbage.delete(row.kind, row.key);
    });
  }
  if (failures.length > 0) throw failures[0];
}

/** False when somebody else is at work on it, who then sees to its row. */
async function removeFromDisk(context: StoreContext, row: GarbageRow): Promise<boolean> {
  if (row.kind === 'blob') return removeBlobFile(context, row.key as Digest);
  await context.layers.removeFromDisk(row.key, row.driver);
  return true;
}

/**
 * Removes of a blob what nobody vouches for: its file unless there is a row, its partial unless there is a lease, which
 * stands for both. False while somebody writes it: he has leased it, and puts a row or leaves it to the end of his
 * lease.
 */
export async function removeBlobFile({ metadata, blobs }: StoreContext, digest: Digest): Promise<boolean> {
  using held = await blobs.hold(digest);
  if (held === undefined) return false;
  if (metadata.leases.holds('blob', digest)) return true;
  if (!metadata.blobs.has(digest)) await blobs.remove(digest);
  held.removePartial();
  return true;
}
