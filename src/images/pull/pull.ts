/**
 * Pull: resolve → lease → documents → layers → names. An image that is there costs one request and one row.
 * Everything before the last transaction is leased, so that no collector takes it; the transaction names it all.
 */
import { isTslayerError } from '../../errors.ts';
import type { ImageRow } from '../../metadata/images.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { formatPlatform, hostPlatform, type Platform } from '../../oci/platform.ts';
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import type { PullSource } from './source.ts';

export interface PullRequest {
  /** Names to put (see `imageName`); the first is the one that messages use. */
  readonly names: readonly [string, ...string[]];
  readonly source: PullSource;
  /** The digest that the reference itself holds: then nothing has to be resolved. */
  readonly digest?: Digest | undefined;
  /** Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** Keep all platforms of an index; this machine's (or `platform`) is unpacked. Default false. */
  readonly allPlatforms?: boolean | undefined;
  /** Default true. */
  readonly unpack?: boolean | undefined;
  /** The source is the store itself: blobs that it has dropped are nowhere. Default false. */
  readonly isMade?: boolean | undefined;
}

export interface PullResult {
  readonly name: string;
  /** What the name stands for: the index or manifest. `NAME@digest` pulls the same again. */
  readonly digest: Digest;
  readonly manifest: Digest;
  /** The image id: digest of the config. */
  readonly imageId: Digest;
  /** `linux/amd64`; empty when the config does not say. */
  readonly platform: string;
  /** `present`: nothing had to be done. */
  readonly status: 'present' | 'new' | 'updated';
  readonly unpacked: boolean;
  /** Compressed bytes of layers that came from the source. */
  readonly fetchedBytes: number;
}

/** A row that was used within this time is not written again: a no-op pull stays a read. */
const TOUCH_MS = 60 * 60 * 1000;

/**
 * Pulls one image under one or more names.
 * @throws NOT_FOUND, DENIED, NETWORK of the source; DIGEST_MISMATCH, SIZE_MISMATCH, DIFF_ID_MISMATCH, MALFORMED,
 *   UNSAFE_LAYER, LIMIT_EXCEEDED of its content; UNSUPPORTED for a platform or media type; NO_SPACE; ABORTED.
 *   After NETWORK and ABORTED what was fetched is kept for the next pull, after the others it is removed.
 */
export async function pullImage(
  context: StoreContext,
  request: PullRequest,
  options: OperationOptions = {},
): Promise<PullResult> {
  const known = request.names.map((name) => context.metadata.images.get(name));
  const target = known[0] === undefined ? undefined : await currentTarget(context, request, options);
  if (target && known.every((row) => row !== undefined && isCurrent(context, row, target.digest, request))) {
    return presentResult(context, known as ImageRow[]);
  }
  // Loaded here: a pull of what is there does without it.
  const [{ ImageFetch }, { openLease }] = await Promise.all([import('./image-fetch.ts'), import('../lease.ts')]);
  await using lease = await openLease(context, `pull ${request.names[0]}`, { resumable: true });
  try {
    return await new ImageFetch(context, request, options, lease).run(target);
  } catch (error) {
    if (isTslayerError(error, 'NETWORK') || isTslayerError(error, 'ABORTED')) lease.keep();
    throw error;
  }
}

/** What the name stands for now: one request, or none when it holds its digest and the store has that. */
async function currentTarget(
  context: StoreContext,
  request: PullRequest,
  options: OperationOptions,
): Promise<Descriptor | undefined> {
  if (request.digest === undefined) return (await request.source.resolve(options)).descriptor;
  const row = context.metadata.blobs.get(request.digest);
  return row && { mediaType: row.mediaType, digest: row.digest, size: row.size };
}

function isCurrent(context: StoreContext, row: ImageRow, target: Digest, request: PullRequest): boolean {
  if (row.target !== target) return false;
  // What was dropped while the store was to keep less.
  if (context.config.keepBlobs && context.metadata.blobs.lacksRefs(row.manifest)) return false;
  if (request.unpack !== false && !row.unpacked) return false;
  const isIndex = row.target !== row.manifest;
  if (isIndex && request.allPlatforms && !row.allPlatforms) return false;
  return !isIndex || row.platform === formatPlatform(request.platform ?? hostPlatform());
}

function presentResult(context: StoreContext, rows: readonly ImageRow[]): PullResult {
  const now = Date.now();
  const stale = rows.filter((row) => now - row.usedAt > TOUCH_MS);
  if (stale.length > 0) {
    context.metadata.transaction(() => {
      for (const row of stale) context.metadata.images.touch(row.name, now);
    });
  }
  const row = rows[0] as ImageRow;
  return {
    name: row.name,
    digest: row.target,
    manifest: row.manifest,
    imageId: row.config,
    platform: row.platform,
    status: 'present',
    unpacked: row.unpacked,
    fetchedBytes: 0,
  };
}
