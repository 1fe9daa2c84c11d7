/**
 * Leases as the operations use them: opened before anything is relied on, ended when names hold it, kept for a while
 * when the operation was interrupted and can go on later.
 */
import { randomBytes } from 'node:crypto';
import type { LayerKey } from '../metadata/layers.ts';
import type { LeaseRef } from '../metadata/leases.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import { type Collected, collect, removeBlobFile } from './collect.ts';
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
  /** Lets it live on for the resume window without this process. */
  keep(): void;
}

export async function openLease(context: StoreContext, purpose: string): Promise<Lease> {
  const { metadata, config } = context;
  const session = await context.session.open();
  const id = randomBytes(8).toString('hex');
  const createdAt = Date.now();
  const row = { id, session, purpose, createdAt, expiresAt: createdAt + config.resumeWindowMs };
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
      if (!open) return;
      metadata.transaction(() => metadata.leases.put({ ...row, session: null }), { durable: true });
      open = false;
    },
    [Symbol.asyncDispose]: async () => {
      if (open) await endLease(context, id, { collect: true });
      open = false;
    },
  };
}

/** Ends a lease; with `collect` what nothing else holds goes with it, unfinished blobs too. */
export async function endLease(
  context: StoreContext,
  id: string,
  options: { readonly collect: boolean },
): Promise<Collected | undefined> {
  const { metadata } = context;
  const refs = metadata.transaction(() => {
    const held = metadata.leases.refs(id);
    metadata.leases.delete(id);
    return held;
  });
  if (!options.collect) return undefined;
  const keys = (kind: LeaseRef['kind']) => refs.filter((ref) => ref.kind === kind).map((ref) => ref.key);
  const blobs = keys('blob') as Digest[];
  const collected = await collect(context, {
    blobs,
    layers: keys('layer') as LayerKey[],
    chains: keys('snapshot') as ChainID[],
  });
  // What was fetched and never got a row.
  for (const digest of blobs) {
    if (metadata.blobs.has(digest)) continue;
    await removeBlobFile(context, digest);
    if (!metadata.leases.holds('blob', digest)) await context.blobs.removePartial(digest);
  }
  return collected;
}

function* refsOf(leased: Leased): Iterable<LeaseRef> {
  for (const key of leased.blobs ?? []) yield { kind: 'blob', key };
  for (const key of leased.layers ?? []) yield { kind: 'layer', key };
  for (const key of leased.chains ?? []) yield { kind: 'snapshot', key };
}
