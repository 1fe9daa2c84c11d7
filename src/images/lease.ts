/**
 * Leases as the operations use them: opened before anything is relied on, ended when names hold it, kept for a while
 * when the operation was interrupted and can go on later.
 */
import type { GarbageRow } from '../metadata/garbage.ts';
import type { LayerKey } from '../metadata/layers.ts';
import type { LeaseRef, LeaseRow } from '../metadata/leases.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import { randomHex } from '../sys/random.ts';
import { blobIsHeld, chainIsHeld, dropUnheld, layerIsHeld, removeGarbage } from './collect.ts';
import type { StoreContext } from './context.ts';

/** What a lease holds. */
export interface Leased {
  readonly blobs?: Iterable<Digest>;
  readonly layers?: Iterable<LayerKey>;
  readonly chains?: Iterable<ChainID>;
}

/** An open lease. Disposing without `end` or `keep` ends it and removes what only it held. */
export interface Lease extends AsyncDisposable {
  readonly id: string;
  /** Adds to what it holds. Whatever is found in the store after this call stays until the lease ends. */
  hold(more: Leased): void;
  /** Ends it, and those of interrupted operations for the same purpose. Call it in the transaction that names the content. */
  end(): void;
  /** Lets it live on for the resume window without this process, if there is anything to go on from. */
  keep(): void;
}

export interface LeaseOptions {
  /** After a crash what it holds is kept for the resume window: the operation can go on from it. Default false. */
  readonly resumable?: boolean;
}

export async function openLease(
  context: StoreContext,
  purpose: string,
  { resumable = false }: LeaseOptions = {},
): Promise<Lease> {
  const { metadata, config } = context;
  const session = await context.session.open();
  const id = randomHex(8);
  const createdAt = Date.now();
  const expiresAt = resumable ? createdAt + config.resumeWindowMs : null;
  const row = { id, session, purpose, createdAt, expiresAt };
  metadata.transaction(() => metadata.leases.put(row));
  let open = true;
  return {
    id,
    hold: (more) => metadata.transaction(() => metadata.leases.addRefs(id, refsOf(more))),
    end: () => {
      metadata.leases.delete(id);
      metadata.leases.deleteInterrupted(purpose);
      open = false;
    },
    keep: () => {
      if (open) open = !metadata.transaction(() => outlive(context, row), { durable: true });
    },
    [Symbol.asyncDispose]: async () => {
      if (open) await endLease(context, id);
      open = false;
    },
  };
}

/** Takes a lease from its session. False when nothing would go without it: it is deleted then. */
function outlive({ metadata, blobs, config }: StoreContext, { expiresAt, ...row }: LeaseRow): boolean {
  const refs = metadata.leases.refs(row.id);
  metadata.leases.delete(row.id);
  const holdsAlone = ({ kind, key }: LeaseRef): boolean => {
    if (kind === 'layer')
      return metadata.layers.get(key as LayerKey) !== undefined && !layerIsHeld(metadata, key as LayerKey);
    if (kind === 'snapshot')
      return metadata.snapshots.hasChain(key as ChainID) && !chainIsHeld(metadata, key as ChainID);
    const digest = key as Digest;
    if (blobs.partialSize(digest) > 0) return true;
    return metadata.blobs.has(digest) ? !blobIsHeld(metadata, digest) : blobs.stat(digest) !== undefined;
  };
  if (!refs.some(holdsAlone)) return false;
  metadata.leases.put({ ...row, session: null, expiresAt: expiresAt ?? row.createdAt + config.resumeWindowMs });
  metadata.leases.addRefs(row.id, refs);
  return true;
}

/**
 * Ends a lease, and what nothing else holds goes with it, unfinished blobs too. The transaction that takes the lease
 * records what is to go, so that a crash leaves nothing that nobody knows.
 */
export async function endLease(context: StoreContext, id: string): Promise<void> {
  const { metadata } = context;
  const session = await context.session.open();
  const garbage = metadata.transaction(() => dropLease(context, id, session), { durable: true });
  await removeGarbage(context, garbage);
}

function dropLease({ metadata, blobs }: StoreContext, id: string, session: string): GarbageRow[] {
  const refs = metadata.leases.refs(id);
  metadata.leases.delete(id);
  const keys = (kind: LeaseRef['kind']) => refs.filter((ref) => ref.kind === kind).map((ref) => ref.key);
  const digests = keys('blob') as Digest[];
  const dropped = dropUnheld(metadata, session, {
    blobs: digests,
    layers: keys('layer') as LayerKey[],
    chains: keys('snapshot') as ChainID[],
  });
  // What never got a row, and what was to be fetched again.
  const isUnfinished = (digest: Digest) => !metadata.blobs.has(digest) || blobs.hasPartial(digest);
  const unfinished = digests.filter((digest) => isUnfinished(digest) && !metadata.leases.holds('blob', digest));
  for (const key of unfinished) metadata.garbage.put({ kind: 'blob', key, session });
  const gone = new Set([...unfinished, ...dropped.blobs.map(({ digest }) => digest)]);
  return [
    ...[...gone].map((key) => ({ kind: 'blob' as const, key, session })),
    ...dropped.layers.map((layer) => ({ kind: 'layer' as const, key: layer.id, session })),
  ];
}

function* refsOf(leased: Leased): Iterable<LeaseRef> {
  for (const key of leased.blobs ?? []) yield { kind: 'blob', key };
  for (const key of leased.layers ?? []) yield { kind: 'layer', key };
  for (const key of leased.chains ?? []) yield { kind: 'snapshot', key };
}
