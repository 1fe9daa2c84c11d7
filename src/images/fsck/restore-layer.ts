/** Unpacks a damaged layer again under a new id; whatever was made of it reads the new one from its next mount on. */
import { TslayerError } from '../../errors.ts';
import type { LayerRow } from '../../metadata/layers.ts';
import { algorithmOf, type ChainID } from '../../oci/digest.ts';
import { removeGarbage } from '../collect.ts';
import type { StoreContext } from '../context.ts';
import { flowBlob } from '../pull/blob-flow.ts';
import type { CheckOptions } from './finding.ts';
import { imagesWith } from './lose-blob.ts';

export async function restoreLayer(context: StoreContext, row: LayerRow, options: CheckOptions): Promise<string> {
  const { metadata, layers } = context;
  const blob = metadata.blobs.blobsOf(row.diffId).find(({ digest }) => metadata.blobs.has(digest));
  const [any] = metadata.blobs.blobsOf(row.diffId);
  const digest = blob?.digest ?? any?.digest;
  if (digest === undefined) throw new TslayerError('NOT_FOUND', `no blob is known to hold layer ${row.diffId}`);
  const { size, mediaType } = metadata.blobs.get(digest) ?? (await describe(context, digest));
  const source = blob ? undefined : await firstSource(context, digest, options);
  const { signal, onProgress } = options;
  const session = await context.session.open();
  using _lock = await layers.lock(row.key, { signal });
  await flowBlob(
    { digest, size, mediaType },
    async (bytes, stored) => {
      await using writer = await layers.begin(row.key, parentOf(context, row));
      const { limits } = context.config;
      const algorithm = algorithmOf(row.diffId);
      const { sink, indexPath } = writer;
      const unpacked = await context.unpacker.unpack({
        source: bytes,
        size,
        sink,
        limits,
        indexPath,
        algorithm,
        signal,
      });
      await stored();
      if (unpacked.diffId !== row.diffId) {
        throw new TslayerError('DIFF_ID_MISMATCH', `blob ${digest} unpacks to ${unpacked.diffId}, not ${row.diffId}`);
      }
      await writer.replace(unpacked, () => metadata.garbage.put({ kind: 'layer', key: row.id, session }));
    },
    { context, source, signal, onProgress, onFetched: () => undefined },
  );
  await removeGarbage(context, [{ kind: 'layer', key: row.id, session }]);
  return source ? 'fetched and unpacked again' : 'unpacked again from its blob';
}

/** Sequential drivers unpack over the parent; its stack is the one of any snapshot that has this layer on top. */
function parentOf({ metadata }: StoreContext, row: LayerRow): ChainID | undefined {
  const sql = 'SELECT parent FROM snapshots WHERE layer = ? LIMIT 1';
  return metadata.database.get<{ parent: ChainID | null }>(sql, row.key)?.parent ?? undefined;
}

async function describe(context: StoreContext, digest: LayerBlob): Promise<{ size: number; mediaType: string }> {
  const { metadata } = context;
  const [parent] = metadata.blobs.parents(digest);
  const ref = parent && metadata.blobs.refs(parent).find(({ child }) => child === digest);
  if (!ref) throw new TslayerError('NOT_FOUND', `no image names the blob ${digest} any more`);
  return { size: ref.size, mediaType: 'application/octet-stream' };
}

type LayerBlob = Parameters<StoreContext['blobs']['stat']>[0];

async function firstSource(context: StoreContext, digest: LayerBlob, options: CheckOptions) {
  for (const image of imagesWith(context, digest)) {
    const source = await options.sourceOf(image.name);
    if (source) return source;
  }
  throw new TslayerError('NOT_FOUND', `blob ${digest} is not in the store and cannot be fetched`);
}
