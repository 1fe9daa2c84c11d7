/** Blobs: each row's file is there, as long as it should be, and (deep) what its digest says. */
import { createHash } from 'node:crypto';
import { isTslayerError, TslayerError, throwIfAborted } from '../../errors.ts';
import type { BlobRow } from '../../metadata/blobs.ts';
import { algorithmOf, type Digest } from '../../oci/digest.ts';
import type { StoreContext } from '../context.ts';
import { openLease } from '../lease.ts';
import { flowBlob } from '../pull/blob-flow.ts';
import type { CheckOptions, Finding } from './finding.ts';
import { imagesWith, loseBlob } from './lose-blob.ts';

export async function* checkBlobs(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  for (const row of context.metadata.blobs.list()) {
    throwIfAborted(options.signal);
    const message = await problemOf(context, row, options);
    // Removed by another process while we looked.
    if (message === undefined || !context.metadata.blobs.has(row.digest)) continue;
    yield { kind: 'blob', subject: row.digest, message, repair: () => restoreBlob(context, row, options) };
  }
}

async function problemOf(context: StoreContext, row: BlobRow, options: CheckOptions): Promise<string | undefined> {
  const info = context.blobs.stat(row.digest);
  if (info === undefined) return 'the file is missing';
  if (info.size !== row.size) return `the file has ${info.size} bytes instead of ${row.size}`;
  if (!options.deep) return undefined;
  try {
    const found = await hashOf(context, row.digest, options);
    return found === row.digest ? undefined : `the file hashes to ${found}`;
  } catch (error) {
    if (isTslayerError(error, 'ABORTED')) throw error;
    return `the file cannot be read: ${error instanceof Error ? error.message : error}`;
  }
}

async function hashOf({ blobs }: StoreContext, digest: Digest, { signal }: CheckOptions): Promise<string> {
  const hash = createHash(algorithmOf(digest));
  for await (const chunk of blobs.open(digest)) {
    throwIfAborted(signal);
    hash.update(chunk);
  }
  return `${algorithmOf(digest)}:${hash.digest('hex')}`;
}

/** Fetches the blob again from where one of its images came from; without such a place, does without it. */
async function restoreBlob(context: StoreContext, row: BlobRow, options: CheckOptions): Promise<string> {
  const names = imagesWith(context, row.digest).map((image) => image.name);
  // A collector leaves alone what is fetched, and what a crash leaves of it goes with the lease.
  await using lease = await openLease(context, `fsck ${row.digest}`);
  lease.hold({ blobs: [row.digest] });
  let failure: unknown;
  for (const name of names) {
    const source = await options.sourceOf(name);
    if (source === undefined) continue;
    try {
      await context.blobs.remove(row.digest);
      await fetchAgain(context, row, source, options);
      return `fetched again by ${name}`;
    } catch (error) {
      failure = error;
      // What the registry no longer has is lost; what it cannot give just now may come tomorrow.
      if (!isTslayerError(error, 'NOT_FOUND')) throw error;
    }
  }
  return await loseBlob(context, row, failure);
}

async function fetchAgain(
  context: StoreContext,
  row: BlobRow,
  source: NonNullable<Awaited<ReturnType<CheckOptions['sourceOf']>>>,
  options: CheckOptions,
): Promise<void> {
  const { digest, size, mediaType } = row;
  const descriptor = { digest, size, mediaType };
  if (row.kind === 'index' || row.kind === 'manifest') {
    const { bytes } = await source.fetchManifest(descriptor, options);
    if (bytes.length !== size) throw new TslayerError('SIZE_MISMATCH', `${digest} has ${bytes.length} bytes`);
    await context.blobs.put(digest, bytes);
    return;
  }
  const { signal, onProgress } = options;
  const onFetched = () => undefined;
  await flowBlob(descriptor, (_bytes, stored) => stored(), { context, source, signal, onProgress, onFetched });
}
