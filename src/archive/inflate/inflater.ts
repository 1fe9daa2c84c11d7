/**
 * One interface to decompression, driven chunk by chunk: bytes in, full buffers out.
 *
 * The fast way calls zlib synchronously through the handle inside Node's streams, which saves a thread-pool round
 * trip and an allocation for each buffer (15 to 43 % of a pull). It is an internal of Node's, so its shape and
 * behaviour are probed once a thread; where they differ, the public streams do the work.
 */
import type { Compression } from './compression.ts';
import { Filler } from './filler.ts';
import { handlesWork, openHandleInflater } from './handle.ts';
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

/** `handle`: synchronous, through Node's internals. `stream`: the public API. */
export type Engine = 'handle' | 'stream';

export function openInflater(compression: Compression, outlet: Outlet, engine?: Engine): Inflater {
  if (compression === 'none') return new Copier(outlet);
  const chosen = engine ?? (handlesWork() ? 'handle' : 'stream');
  return chosen === 'handle' ? openHandleInflater(compression, outlet) : openStreamInflater(compression, outlet);
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
