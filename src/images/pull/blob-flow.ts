/**
 * Lets a blob flow past a reader and into the store, wherever it is now: with the source, half here, or here. When
 * the reader fails, the blob's own digest says whose fault it was.
 */
import { isTslayerError, TslayerError, throwIfAborted } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf } from '../../oci/digest.ts';
import type { OperationOptions } from '../../progress.ts';
import { openHash } from '../../sys/hash.ts';
import type { StoreContext } from '../context.ts';
import { BlobFeed } from './feed.ts';
import type { PullSource } from './source.ts';

/** Sees the bytes; `stored` takes the rest and resolves when the blob is whole, verified and durable. */
export type BlobReader = (bytes: AsyncIterable<Uint8Array>, stored: () => Promise<void>) => Promise<void>;

export interface BlobFlowOptions extends OperationOptions {
  readonly context: StoreContext;
  /** Undefined: the blob has to be in the store. */
  readonly source: PullSource | undefined;
  /** Bytes that came from the source. */
  readonly onFetched: (bytes: number) => void;
}

/** Broken bytes are fetched once more, from another endpoint if there is one: they may have broken on the way. */
const ATTEMPTS = 2;

/** May call `reader` a second time: when the bytes it saw turn out to be broken. */
export async function flowBlob(descriptor: Descriptor, reader: BlobReader, options: BlobFlowOptions): Promise<void> {
  const { context, source, signal, onProgress } = options;
  const { digest, size } = descriptor;
  const onWait = (bytes: number) => onProgress?.({ type: 'transfer', digest, bytes, total: size });
  const avoid: string[] = [];
  for (let attempt = 1; ; attempt++) {
    await using ingest = await context.blobs.ingest(descriptor, { signal, onWait });
    if (ingest === undefined) {
      if (await readStored(descriptor, reader, options)) return;
      continue;
    }
    if (source === undefined) {
      throw new TslayerError('NOT_FOUND', `blob ${digest} is not in the store`, { hint: 'pull the image again' });
    }
    await using feed = new BlobFeed({
      ingest,
      open: (offset) => source.fetchBlob(descriptor, { offset, avoid, transient: true, signal, onProgress }),
      onBytes: (bytes) => onProgress?.({ type: 'transfer', digest, bytes, total: size }),
    });
    try {
      return await readHonestly(feed, () => feed.finish(), reader);
    } catch (error) {
      if (attempt === ATTEMPTS || !isTslayerError(error, 'DIGEST_MISMATCH')) throw error;
      onProgress?.({ type: 'retry', digest, attempt, delayMs: 0, reason: error.message });
      if (feed.endpoint !== undefined) avoid.push(feed.endpoint);
    } finally {
      options.onFetched(feed.fetched);
    }
  }
}

/** A broken archive in a blob that is itself broken was broken on the way: the blob's error tells the truth. */
async function readHonestly(
  bytes: AsyncIterable<Uint8Array>,
  stored: () => Promise<void>,
  reader: BlobReader,
): Promise<void> {
  try {
    await reader(bytes, stored);
    await stored();
  } catch (error) {
    if (isTslayerError(error, 'MALFORMED') || isTslayerError(error, 'DIFF_ID_MISMATCH')) await stored();
    throw error;
  }
}

/** False when the file turned out to be damaged; it is gone then. */
async function readStored(descriptor: Descriptor, reader: BlobReader, options: BlobFlowOptions): Promise<boolean> {
  const { context, signal } = options;
  const { digest } = descriptor;
  // Written by a process that died before it could put a row. It was verified, but not by anybody we know.
  const isOrphan = !context.metadata.blobs.has(digest);
  const hash = openHash(algorithmOf(digest));
  const iterator = context.blobs.open(digest)[Symbol.asyncIterator]();
  const bytes: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        throwIfAborted(signal);
        const step = await iterator.next();
        if (isOrphan && !step.done) hash.update(step.value);
        return step;
      },
    }),
  };
  let found: string | undefined;
  const stored = async () => {
    if (isOrphan) for await (const _chunk of bytes);
    found ??= `${algorithmOf(digest)}:${hash.digest().toString('hex')}`;
    if (isOrphan && found !== digest) {
      throw new TslayerError('DIGEST_MISMATCH', `stored blob: expected ${digest}, found ${found}`);
    }
  };
  try {
    await readHonestly(bytes, stored, reader);
    return true;
  } catch (error) {
    if (!isOrphan || !isTslayerError(error, 'DIGEST_MISMATCH')) throw error;
    await context.blobs.remove(digest);
    return false;
  } finally {
    await iterator.return?.();
  }
}
