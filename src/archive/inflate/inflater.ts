/**
 * One interface to decompression, driven chunk by chunk: bytes in, full buffers out. Three engines, the fastest that
 * works here first:
 *
 *   isal     gzip by ISA-L, where the machine has that library: half again as fast as zlib
 *   handle   zlib and zstd, driven synchronously through the handle inside Node's streams, which saves a thread-pool
 *            round trip and an allocation for each buffer (15 to 43 % of a pull)
 *   stream   the public streams
 *
 * The first two rest on things that may change under us. Each is tried on samples, once a thread, before it is used;
 * TSLAYER_INFLATE names the one to use instead.
 */
import type { Compression } from './compression.ts';
import { Filler } from './filler.ts';
import { handlesWork, openHandleInflater } from './handle.ts';
import { isalWorks, openIsalInflater } from './isal.ts';
import { openStreamInflater } from './stream.ts';

/** Where inflated bytes go. */
export interface Outlet {
  /** The buffer being filled: the same one until `flush`. */
  room(): Uint8Array;
  /** The first `length` bytes of the room are good. Called with full rooms, and with what is left at the end. */
  flush(length: number): void;
}

/** Errors are MALFORMED (broken or cut short) and LIMIT_EXCEEDED (a window too large). */
export interface Inflater {
  /** Takes all of `input`, which may be reused once this (or the promise it gives) is done. */
  write(input: Uint8Array): Promise<void> | undefined;
  /** No more input: what is unfinished is an error. */
  end(): Promise<void> | undefined;
  /** Frees memory outside the heap. Idempotent. */
  close(): void;
}

export type Engine = 'isal' | 'handle' | 'stream';

/** @param engine where it cannot do this compression, the next best does */
export function openInflater(compression: Compression, outlet: Outlet, engine?: Engine): Inflater {
  if (compression === 'none') return new Copier(outlet);
  const wanted = engine ?? process.env.TSLAYER_INFLATE;
  if (wanted === 'stream') return openStreamInflater(compression, outlet);
  if (compression === 'gzip' && wanted !== 'handle' && isalWorks()) return openIsalInflater(outlet);
  return handlesWork() ? openHandleInflater(compression, outlet) : openStreamInflater(compression, outlet);
}

/** Uncompressed layers take the same way. */
class Copier implements Inflater {
  readonly #filler: Filler;

  constructor(outlet: Outlet) {
    this.#filler = new Filler(outlet);
  }

  write(input: Uint8Array): undefined {
    this.#filler.add(input);
  }

  end(): undefined {
    this.#filler.flush();
  }

  close(): void {}
}
