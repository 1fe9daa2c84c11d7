/** What the unpacker is asked, and what it answers. */
import type { Algorithm, DiffID } from '../../oci/digest.ts';
import type { LayerLimits, SinkPlan, SinkResult } from '../sink.ts';

export interface UnpackRequest {
  /** The blob's bytes. Read no faster than they are unpacked; not read to its end when unpacking fails. */
  readonly source: AsyncIterable<Uint8Array>;
  /** Compressed bytes to expect, for choosing threads; a wrong number costs time only. */
  readonly size: number;
  readonly sink: SinkPlan;
  readonly limits?: LayerLimits | undefined;
  /** Where an index of the layer's entries goes, when one is wanted. */
  readonly indexPath?: string | undefined;
  /** Of the diffID; sha256 unless the config says otherwise. */
  readonly algorithm?: Algorithm | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Uncompressed bytes so far. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

export interface Unpacked {
  readonly diffId: DiffID;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  readonly result: SinkResult;
  /** Whether the index was written: it is whole then, and the layer's if the diffID is. */
  readonly indexed: boolean;
}
