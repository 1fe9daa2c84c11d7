/** Pins: leases for good. A pinned image stays, whatever becomes of its names. */
import { TslayerError } from '../errors.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';
import { findImage } from './find.ts';

export interface Pin {
  readonly name: string;
  /** The pinned image. */
  readonly manifest: Digest;
  readonly createdAt: string;
}

const PURPOSE = 'pin ';

/** Keeps an image by a name of the caller's own. @throws NOT_FOUND; ALREADY_EXISTS for a pin of that name */
export function pinImage(context: StoreContext, image: string, name: string): Pin {
  const { metadata } = context;
  const createdAt = Date.now();
  return metadata.transaction(
    () => {
      const row = findImage(context, image);
      const id = leaseId(name);
      if (metadata.leases.get(id)) throw new TslayerError('ALREADY_EXISTS', `there is a pin ${name} already`);
      metadata.leases.put({ id, session: null, purpose: PURPOSE + name, createdAt, expiresAt: null });
      metadata.leases.addRefs(id, [
        ...[row.manifest, row.target, row.config].map((key) => ({ kind: 'blob' as const, key })),
        ...(row.chainId === null ? [] : [{ kind: 'snapshot' as const, key: row.chainId as ChainID }]),
      ]);
      return { name, manifest: row.manifest, createdAt: new Date(createdAt).toISOString() };
    },
    { durable: true },
  );
}

/** Takes a pin away; what it held stays until it is collected. @throws NOT_FOUND */
export function unpinImage({ metadata }: StoreContext, name: string): void {
  const gone = metadata.transaction(() => metadata.leases.delete(leaseId(name)), { durable: true });
  if (!gone) throw new TslayerError('NOT_FOUND', `there is no pin ${name}`);
}

export function listPins({ metadata }: StoreContext): Pin[] {
  return metadata.leases
    .list()
    .filter(({ session, expiresAt, purpose }) => session === null && expiresAt === null && purpose.startsWith(PURPOSE))
    .map(({ id, purpose, createdAt }) => ({
      name: purpose.slice(PURPOSE.length),
      manifest: manifestOf(metadata, id),
      createdAt: new Date(createdAt).toISOString(),
    }));
}

function leaseId(name: string): string {
  return `pin-${name}`;
}

function manifestOf(metadata: StoreContext['metadata'], lease: string): Digest {
  const blobs = metadata.leases.refs(lease).filter(({ kind }) => kind === 'blob');
  const manifest = blobs.find(({ key }) => metadata.blobs.get(key as Digest)?.kind === 'manifest') ?? blobs[0];
  return manifest?.key as Digest;
}
