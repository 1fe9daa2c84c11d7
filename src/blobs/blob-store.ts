/** The blob store's interface: bytes named by their digest, never visible before they are whole and verified. */
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';

export interface BlobInfo {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
}

/**
 * An unfinished write. Exactly one process holds a digest's ingest (flock); a partial one of an earlier process is
 * taken over, so that `offset` may start above zero: continue from there.
 */
export interface Ingest extends AsyncDisposable {
  readonly descriptor: Descriptor;
  /** Bytes that are there and hashed already. */
  readonly offset: number;
  /** Appends and hashes. More than the descriptor's size is SIZE_MISMATCH. */
  write(chunk: Uint8Array): void;
  /** The bytes present before `offset`, for those who must see the whole stream (the unpacker). */
  readPartial(): AsyncIterable<Uint8Array>;
  /** Forgets what was written: a server answered with other bytes. */
  restart(): void;
  /** Verifies size and digest, syncs (when durable) and renames. A mismatch discards the bytes. */
  commit(): Promise<BlobInfo>;
  /** Disposing without commit keeps the partial bytes for a later process; `discard` removes them. */
  discard(): void;
}

export interface IngestOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called again and again while another process writes the blob, with the bytes it has so far. */
  readonly onWait?: (bytes: number) => void;
}

export interface BlobStore {
  stat(digest: Digest): BlobInfo | undefined;
  /** Absolute path of a blob that is there. */
  path(digest: Digest): string;
  /** Bytes from `start` up to, not including, `end`. */
  open(digest: Digest, range?: { readonly start: number; readonly end?: number }): AsyncIterable<Uint8Array>;
  /** A small blob whole (manifest, config), verified again. */
  read(digest: Digest): Promise<Uint8Array>;
  /**
   * Waits for whoever writes or removes the same digest; undefined when the blob is there then. It stays when the
   * caller leased it before the call.
   */
  ingest(descriptor: Descriptor, options?: IngestOptions): Promise<Ingest | undefined>;
  /** Stores bytes held in memory, after checking them against the digest. */
  put(digest: Digest, bytes: Uint8Array): Promise<BlobInfo>;
  remove(digest: Digest): Promise<void>;
  list(): AsyncIterable<BlobInfo>;
}
