/**
 * What long operations say while they work: plain data, so that a terminal, a log and a program can each show it
 * in their own way. `--json` prints these objects as they are, one a line.
 */
import type { Digest } from './oci/digest.ts';

export type ProgressEvent =
  /** A name was turned into a digest. */
  | { readonly type: 'resolved'; readonly reference: string; readonly digest: Digest; readonly endpoint: string }
  /** The work ahead is known: how many layers and compressed bytes, and how many of them are there already. */
  | { readonly type: 'plan'; readonly layers: readonly PlannedLayer[]; readonly totalBytes: number }
  /** `bytes` of `total` compressed bytes of a blob have been received (or sent), since the start of the blob. */
  | { readonly type: 'transfer'; readonly digest: Digest; readonly bytes: number; readonly total: number }
  /** `bytes` uncompressed bytes of a layer have been unpacked. */
  | { readonly type: 'unpack'; readonly digest: Digest; readonly bytes: number }
  /** A blob or layer reached a state and stays there. */
  | { readonly type: 'layer'; readonly digest: Digest; readonly state: LayerState; readonly bytes: number }
  | {
      readonly type: 'retry';
      readonly digest?: Digest;
      readonly attempt: number;
      readonly delayMs: number;
      readonly reason: string;
    }
  | { readonly type: 'warning'; readonly message: string }
  /** A step that is neither, in words: `creating the snapshot`. */
  | { readonly type: 'step'; readonly message: string };

export interface PlannedLayer {
  readonly digest: Digest;
  /** Compressed bytes. */
  readonly size: number;
  readonly present: boolean;
}

/** `exists`: was there before. `waiting`: another process fetches it. `done`: verified and durable. */
export type LayerState = 'exists' | 'waiting' | 'downloaded' | 'done' | 'pushed' | 'mounted';

export type OnProgress = (event: ProgressEvent) => void;

/** What every long operation takes. */
export interface OperationOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}
