/** What the main thread and its workers say to each other. */
import { type ErrorCode, isTslayerError, TslayerError } from '../../errors.ts';
import type { Engine } from '../inflate/inflater.ts';
import type { LayerTarget, Outcome } from './layer-stage.ts';
import { Cancelled, type RingHandle } from './ring.ts';
import type { TarTarget } from './tar-stage.ts';

/**
 * `whole`: compressed bytes come in, the layer is done. The others are its halves on two threads: `inflate` fills a
 * ring that `sink` empties, or `shared-sink` on a thread that does so for several layers at a time.
 */
export type Job =
  | (Inflating & Sinking & { readonly role: 'whole' })
  | (Inflating & {
      readonly role: 'inflate';
      readonly output: RingHandle;
      /** Undefined when the sink's thread does that. */
      readonly bytes: TarTarget | undefined;
    })
  | (Sinking & { readonly role: 'sink' | 'shared-sink' });

interface Inflating {
  readonly input: RingHandle;
  readonly engine: Engine | undefined;
}

interface Sinking {
  readonly input: RingHandle;
  readonly target: LayerTarget;
  /** One 64-bit word: uncompressed bytes so far. */
  readonly progress: SharedArrayBuffer;
}

export type Answer =
  | { readonly ok: true; readonly outcome: Outcome }
  | { readonly ok: false; readonly error: PackedError };

/** Jobs of a thread are told apart by a number. */
export interface Numbered<T> {
  readonly id: number;
  readonly value: T;
}

/** An error as data: what crosses threads as an Error loses its code and hint. */
type PackedError =
  | { readonly cancelled: true }
  | {
      readonly cancelled: false;
      readonly code: ErrorCode | undefined;
      readonly errno: string | undefined;
      readonly message: string;
      readonly hint: string | undefined;
      readonly stack: string | undefined;
    };

export function packError(error: unknown): PackedError {
  if (error instanceof Cancelled) return { cancelled: true };
  if (!(error instanceof Error)) {
    return { cancelled: false, code: undefined, errno: undefined, message: String(error), hint: undefined, stack: '' };
  }
  const own = isTslayerError(error);
  const errno = !own && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return {
    cancelled: false,
    code: own ? error.code : undefined,
    errno,
    message: error.message,
    hint: own ? error.hint : undefined,
    stack: error.stack,
  };
}

/** The error again, its first home in `cause`. */
export function unpackError(packed: PackedError): Error {
  if (packed.cancelled) return new Cancelled();
  const cause = Object.assign(new Error(packed.message), packed.errno === undefined ? {} : { code: packed.errno });
  if (packed.stack !== undefined) cause.stack = packed.stack;
  if (packed.code === undefined) return cause;
  return new TslayerError(packed.code, packed.message, { hint: packed.hint, cause });
}
