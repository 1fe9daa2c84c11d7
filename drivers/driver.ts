/**
 * The storage driver's interface: how layers lie on disk and how a stack of them becomes a root file system.
 *
 * A driver holds file-system logic only. Names, parents, transactions and collection belong to the snapshot store
 * above it; threads, decompression and verification to the pipeline beside it. A driver keeps each thing under the
 * directory it is given, named by the short ids it is given, and can be asked twice: every method is idempotent,
 * or says what it refuses.
 *
 * The life of a layer:    apply → (sink receives the tar) → commit, or abort
 * The life of a snapshot: prepare → mounts → (written to) → changes → remove
 */
import type { TarEntry } from '../src/archive/entry.ts';
import type { SinkPlan, SinkResult } from '../src/archive/sink.ts';
import type { Mount } from '../src/mounts/mount.ts';
import type { DiffID } from '../src/oci/digest.ts';

/** Short name of a layer or snapshot inside the driver's directory: `[0-9a-z]+`, at most 16 characters. */
export type LayerId = string;

/** Layers from the top down to the base, as `lowerdir=` orders them. Empty for a snapshot of nothing. */
export type Stack = readonly LayerId[];

export interface LayerApplication {
  /** Where the pipeline sends the layer's entries. */
  readonly sink: SinkPlan;
  /** Makes the layer visible under its id, at once and durably. Called after the diffID was verified. */
  commit(result: SinkResult): Promise<void>;
  /** Removes what was written. Idempotent; also right after a failed `commit`. */
  abort(): Promise<void>;
}

export interface Usage {
  /** Bytes on disk, as `du` counts them (blocks, each hard-linked file once). */
  readonly bytes: number;
  readonly inodes: number;
}

export interface MountRequest {
  readonly readOnly?: boolean;
  /**
   * The snapshot goes when its user does: nothing needs to reach the disk, a crash spoils it, and it may be mounted
   * this once only.
   */
  readonly ephemeral?: boolean;
  /** Ids that the snapshot's owners are shifted by, for a user-namespaced container (idmapped mounts). */
  readonly userNamespaceFd?: number;
}

/**
 * One difference between a snapshot and its parent. `path` is as in a TarEntry. An entry's `linkname` names a path of
 * the same changes; its `dataOffset` says nothing.
 */
export type Change =
  | {
      readonly kind: 'added' | 'modified';
      readonly entry: TarEntry;
      /** The stored bytes of a file, `storedSize` of them. To be read before the next change is asked for. */
      open?(): AsyncIterable<Uint8Array>;
      /**
       * The same bytes at once, into `target`, which has room for exactly `storedSize` of them. Optional, and not for
       * sparse files: small files take less time so.
       */
      readInto?(target: Uint8Array): void;
    }
  | { readonly kind: 'deleted'; readonly path: Uint8Array }
  /**
   * The directory was replaced: nothing of the parent shows through. Comes right after its own entry. The drivers of
   * tslayer spell deletions one by one instead.
   */
  | { readonly kind: 'opaque'; readonly path: Uint8Array };

/** What is known of a layer that is to be verified. */
export interface LayerToVerify {
  readonly diffId: DiffID;
  readonly tarSize: number;
  /**
   * The root of what was unpacked; of a `sequential` driver's layer, of all that its stack shows. It is read when it is
   * asked for. NOT_FOUND when nothing tells what the layer held: then nor can the driver.
   */
  tree(): Promise<ExpectedNode>;
}

/** A name of a layer, as it was unpacked. */
export interface ExpectedNode {
  /** All names of a hard-linked file share one. Undefined for a directory that is only implied, and a whiteout. */
  readonly info:
    | {
        readonly entry: TarEntry;
        /** Of a file's stored bytes; undefined where it is not known. */
        readonly crc32?: number | undefined;
      }
    | undefined;
  /** What layers below have under this name is hidden. */
  readonly whiteout?: boolean;
  /** What layers below have in this directory is hidden. */
  readonly opaque?: boolean;
  /** Present on directories. Names are bytes as Latin-1, one character each. */
  readonly children: ReadonlyMap<string, ExpectedNode> | undefined;
}

export interface StorageDriver {
  readonly name: string;
  /**
   * `independent`: a layer is stored without looking at its parents, so that layers unpack side by side and equal
   * layers on different parents are one. `sequential`: a layer holds its parents' content (vfs, btrfs).
   */
  readonly stacking: 'independent' | 'sequential';
  /**
   * Begins unpacking a layer on top of `parent` (empty for `independent` drivers); the layer exists once the
   * application was committed. ALREADY_EXISTS when it does, IN_USE while another process writes it, NOT_FOUND for a
   * parent that is not there.
   */
  apply(id: LayerId, parent: Stack, options: { readonly durable: boolean }): Promise<LayerApplication>;
  /** Makes room for a writable snapshot over `parent`. Errors as of `apply`. */
  prepare(id: LayerId, parent: Stack): Promise<void>;
  /**
   * The mounts that show a prepared snapshot, or with `readOnly` a stack alone (`id` undefined: a view).
   * Nothing is mounted here. UNSUPPORTED for more layers than one mount takes, or a request that it cannot serve.
   */
  mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]>;
  /**
   * What a snapshot has over its parent, the same on every driver: a directory before its content, siblings by name
   * bytes. What a reader could not tell from before is no change; sockets are left out.
   */
  changes(id: LayerId, parent: Stack): AsyncIterable<Change>;
  /**
   * The stored bytes of a regular file of one layer, without mounting anything; for a sparse file its segments one
   * after the other. Optional: without it the bytes come out of the layer's blob. NOT_FOUND when the layer has no
   * such file.
   */
  readFile?(id: LayerId, entry: TarEntry): AsyncIterable<Uint8Array>;
  /** What one layer or snapshot occupies by itself. */
  usage(id: LayerId): Promise<Usage>;
  /**
   * Reads a layer and says what is wrong with it, in one line; undefined when it is as it was unpacked. Optional:
   * for drivers that can tell without the blob.
   */
  verify?(id: LayerId, layer: LayerToVerify): Promise<string | undefined>;
  /**
   * Removes a layer or snapshot; one that is not there is no error. Its name is gone at once. What is mounted must
   * not come to harm: IN_USE, where it would.
   */
  remove(id: LayerId): Promise<void>;
  /** Ids present on disk, for finding what no row names. */
  list(): AsyncIterable<LayerId>;
  /** What the driver has made of whole stacks and could make again. Optional: few make such things. */
  readonly caches?: StackCaches;
}

/** A file or directory made of a whole stack, so that mounting it takes less. It goes with any of the stack's layers. */
export interface StackCache {
  /** Path below the driver's directory. */
  readonly name: string;
  /** The layers that it was made of, top first, without those that show nothing. Empty when it is damaged. */
  readonly stack: Stack;
  readonly bytes: number;
}

/** For the store's housekeeping: it knows which stacks there are. */
export interface StackCaches {
  list(): AsyncIterable<StackCache>;
  /** Reads a cache and says what is wrong with it, in one line. */
  verify(name: string): Promise<string | undefined>;
  /**
   * Does no harm to what is mounted; one that is not there is no error.
   * @throws TslayerError IN_USE while something is mounted that it would do harm to
   */
  remove(name: string): Promise<void>;
}

/** What the configuration asks of a driver. */
export interface DriverSettings {
  /** A stack is one file system of its own, where the driver can do that (erofs). */
  readonly merged?: boolean;
  /** Layers are read past the page cache of their files, where the driver and the kernel can do that (erofs). */
  readonly directio?: boolean;
}

export interface Probe {
  readonly available: boolean;
  /** Why not, or what makes it work: one line. */
  readonly reason: string;
  /** Found by trying: `lowerdir+`, `metacopy`, `reflink` … with yes, no or a value. */
  readonly features: Readonly<Record<string, string | number | boolean>>;
}

/** What a driver's module exports as `driver`. */
export interface DriverModule {
  readonly name: string;
  /** One line for `tslayer drivers`. */
  readonly summary: string;
  /** Whether it works for a store at `directory`, by trying, leaving nothing behind. */
  probe(directory: string): Promise<Probe>;
  /** Opens (and creates) the driver's directory; sweeps what a crash left of its own. */
  open(directory: string, settings?: DriverSettings): Promise<StorageDriver>;
}
