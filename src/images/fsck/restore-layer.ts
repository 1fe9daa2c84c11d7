/** Unpacks a damaged layer again under a new id; whatever was made of it reads the new one from its next mount on. */
import { TslayerError } from '../../errors.ts';
import type { LayerRow } from '../../metadata/layers.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type ChainID, type Digest } from '../../oci/digest.ts';
import { removeGarbage } from '../collect.ts';
import type { StoreContext } from '../context.ts';
import { openLease } from '../lease.ts';
import { type BlobReader, flowBlob } from '../pull/blob-flow.ts';
import type { PullSource } from '../pull/source.ts';
import type { CheckOptions } from './finding.ts';
import { imagesWith } from './lose-blob.ts';

export async function restoreLayer(context: StoreContext, row: LayerRow, options: CheckOptions): Promise<string> {
  const { metadata, layers } = context;
  const known = metadata.blobs.blobsOf(row.diffId);
  const stored = known.find(({ digest }) => metadata.blobs.has(digest));
  const digest = (stored ?? known[0])?.digest;
  if (digest === undefined) throw new TslayerError('NOT_FOUND', `no blob is known to hold layer ${row.diffId}`);
  const source = stored ? undefined : await firstSource(context, digest, options);
  const session = await context.session.open();
  using _lock = await layers.lock(row.key, { signal: options.signal });
  await using lease = await openLease(context, `fsck ${row.key}`);
  lease.hold({ blobs: [digest] });
  await unpackAgain(context, row, digest, source, { ...options, session });
  await removeGarbage(context, [{ kind: 'layer', key: row.id, session }]);
  return source ? 'fetched and unpacked again' : 'unpacked again from its blob';
}

async function unpackAgain(
  context: StoreContext,
  row: LayerRow,
  digest: Digest,
  source: PullSource | undefined,
  { signal, onProgress, session }: CheckOptions & { readonly session: string },
): Promise<void> {
  const { metadata, layers, unpacker, config } = context;
  const descriptor = metadata.blobs.get(digest) ?? describe(context, digest);
  const reader: BlobReader = async (bytes, stored) => {
    await using writer = await layers.begin(row.key, parentOf(context, row));
    const { sink, indexPath } = writer;
    const algorithm = algorithmOf(row.diffId);
    const how = { size: descriptor.size, sink, limits: config.limits, indexPath, algorithm, signal };
    const unpacked = await unpacker.unpack({ source: bytes, ...how });
    await stored();
    if (unpacked.diffId !== row.diffId) {
      throw new TslayerError('DIFF_ID_MISMATCH', `blob ${digest} unpacks to ${unpacked.diffId}, not ${row.diffId}`);
    }
    await writer.replace(unpacked, () => metadata.garbage.put({ kind: 'layer', key: row.id, session }));
  };
  await flowBlob(descriptor, reader, { context, source, signal, onProgress, onFetched: () => undefined });
}

/** Sequential drivers unpack over the parent; its stack is the one of any snapshot that has this layer on top. */
function parentOf({ metadata }: StoreContext, row: LayerRow): ChainID | undefined {
  const sql = 'SELECT parent FROM snapshots WHERE layer = ? LIMIT 1';
  return metadata.database.get<{ parent: ChainID | null }>(sql, row.key)?.parent ?? undefined;
}

/** A blob that was dropped, by what its image says of it. */
function describe({ metadata }: StoreContext, digest: Digest): Descriptor {
  const [parent] = metadata.blobs.parents(digest);
  const ref = parent && metadata.blobs.refs(parent).find(({ child }) => child === digest);
  if (!ref) throw new TslayerError('NOT_FOUND', `no image names the blob ${digest} any more`);
  return { digest, size: ref.size, mediaType: 'application/octet-stream' };
}

async function firstSource(context: StoreContext, digest: Digest, options: CheckOptions): Promise<PullSource> {
  for (const image of imagesWith(context, digest)) {
    const source = await options.sourceOf(image.name);
    if (source) return source;
  }
  throw new TslayerError('NOT_FOUND', `blob ${digest} is not in the store and cannot be fetched`);
}
