/** What callers of fetchBlob hold: a source of bytes with its share of the transfer slots and of the bandwidth. */
import { abortError } from '../../src/errors.ts';
import type { BlobStream } from '../client.ts';
import type { Throttle } from '../transport/throttle.ts';
import type { BlobSource } from './resuming-blob.ts';

export interface StreamParts {
  readonly source: BlobSource;
  readonly throttle: Throttle;
  /** Gives the transfer slot back. */
  readonly release: () => void;
  readonly signal: AbortSignal | undefined;
}

export function blobStream({ source, throttle, release, signal }: StreamParts): BlobStream {
  const onAbort = (): void => close();
  const close = (): void => {
    signal?.removeEventListener('abort', onAbort);
    source.close();
    release();
  };
  signal?.addEventListener('abort', onAbort, { once: true });

  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (signal?.aborted) throw abortError(signal);
    try {
      const value = await source.read();
      if (value && throttle.active) await throttle.take(value.length);
      if (value) return { done: false, value };
    } catch (error) {
      close();
      throw signal?.aborted ? abortError(signal) : error;
    }
    close();
    return { done: true, value: undefined };
  };

  return {
    get endpoint() {
      return source.endpoint;
    },
    close,
    // By hand, not by a generator: it runs once for every chunk of every blob.
    [Symbol.asyncIterator]: () => ({
      next,
      async return() {
        close();
        return { done: true, value: undefined };
      },
    }),
  };
}
