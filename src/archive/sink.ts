/**
 * Where an unpacked layer goes. A driver names its sink as data (a module and its options), so that the pipeline
 * can open it on the thread it likes best. A sink is synchronous: it runs where the bytes are, and nothing waits.
 */
import type { TarEntry } from './entry.ts';

/** Receives one layer, in the tar's order: for each entry `entry`, then its stored bytes by `data`. */
export interface LayerSink {
  /** What a whiteout hides: `path` names the hidden file itself. Announced before nothing else of that entry. */
  whiteout(path: Uint8Array): void;
  /** The directory `path` hides all that lower layers have in it. May come after its children. */
  opaque(path: Uint8Array): void;
  entry(entry: TarEntry): void;
  /** Stored bytes of the last entry announced; the buffer is reused after the call. Not wanted by all. */
  data?(chunk: Uint8Array): void;
  /**
   * All entries were read and the tar was well formed.
   * @param tarSize bytes of the tar, what lies behind its end included; all of them are where the plan keeps them
   */
  finish(tarSize: number): SinkResult;
  /** Frees what is open; what was written is the driver's to remove. Idempotent, also after `finish`. */
  close(): void;
}

/** What unpacking a layer came to. */
export interface SinkResult {
  /** Bytes that the layer occupies on disk, as `du` counts them where the sink can know it. */
  readonly bytes: number;
  readonly inodes: number;
  /**
   * Whether the tar said anything of its root directory. Where it did not, the layer's root looks like that of the
   * layer below.
   */
  readonly rootEntry?: boolean;
  /**
   * Directories that the tar implied (`usr/bin/new` without an entry for `usr/bin`), made with plain attributes: in
   * a stack they ought to look as a layer below says. From sinks of drivers that cannot know that layer.
   */
  readonly implied?: readonly Uint8Array[];
  /** Things worth telling, such as attributes that the file system could not hold. */
  readonly warnings: readonly string[];
}

/** Where the tar itself is kept, as data: the thread that has the bytes in its cache writes them. */
export interface TarPlace {
  /** A file that exists. */
  readonly path: string;
  /** Offset of the tar in it, bytes. */
  readonly at: number;
  /** Whether what is written is handed to the disk at once, so that a sync at the end is short. */
  readonly writeBack: boolean;
}

/** A sink as data: structured-cloneable, so that it can be sent to a worker. */
export interface SinkPlan {
  /** URL of a module that exports `openSink: OpenSink`. */
  readonly module: string;
  readonly options: unknown;
  /**
   * For drivers that keep tars. What is left for such a sink is little beside inflating, so that those of several
   * layers share a thread.
   */
  readonly tar?: TarPlace | undefined;
  /** True when the sink changes its thread's root directory: it is then never opened on the main thread. */
  readonly ownThread: boolean;
}

export type OpenSink = (options: unknown) => LayerSink;

/** What a layer may not exceed; every bomb dies by one of them (LIMIT_EXCEEDED). */
export interface LayerLimits {
  /** Uncompressed bytes. */
  readonly bytes: number;
  readonly entries: number;
  /** Bytes of one entry's PAX and GNU headers together. */
  readonly headerBytes: number;
  /** Bytes of one path. */
  readonly pathBytes: number;
}

export const DEFAULT_LIMITS: LayerLimits = {
  bytes: 1024 ** 4,
  entries: 10_000_000,
  headerBytes: 1024 ** 2,
  pathBytes: 65_536,
};
