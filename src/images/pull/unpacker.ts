/** The unpacker's side of a pull: what it is asked, what it answers. The work is archive/pipeline's. */
import type { LayerLimits, SinkPlan, SinkResult } from '../../archive/sink.ts';
import type { DiffID } from '../../oci/digest.ts';

export interface UnpackRequest {
  /** The blob's bytes. Ends when they are all there; throws when they cannot come. */
  readonly source: AsyncIterable<Uint8Array>;
  /** Compressed bytes to expect, for choosing a thread. */
  readonly size: number;
  readonly sink: SinkPlan;
  readonly limits: LayerLimits;
  /** Where an index of the layer's files goes, when one is wanted. */
  readonly indexPath: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Uncompressed bytes so far. */
  readonly onBytes?: (bytes: number) => void;
}

export interface Unpacked {
  readonly diffId: DiffID;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  readonly result: SinkResult;
  readonly indexed: boolean;
}

export type Unpack = (request: UnpackRequest) => Promise<Unpacked>;
