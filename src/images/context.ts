/**
 * What every operation on a store is given first: its paths, its rows, its blobs, layers and snapshots, and the ways
 * to what is loaded only when needed (driver, registry client). Built once by `openStore` (store.ts).
 */
import type { DriverModule, StorageDriver } from '../../drivers/driver.ts';
import type { LayerLimits } from '../archive/sink.ts';
import type { FileBlobStore } from '../blobs/file-store.ts';
import type { DriverSnapshots } from '../layers/driver-snapshots.ts';
import type { LayerStore } from '../layers/layer-store.ts';
import type { Session } from '../layers/session.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { StorePaths } from '../store-layout.ts';
import type { LayerUnpacker } from './pull/unpacker.ts';

export interface StoreConfig {
  /** `layer`: each blob and layer is on the disk before it is named. `none`: left to the kernel. */
  readonly durability: 'layer' | 'none';
  /** false: a layer's compressed blob goes once the layer is unpacked. */
  readonly keepBlobs: boolean;
  /** Layers fetched and unpacked at once. */
  readonly concurrency: number;
  readonly limits: LayerLimits;
  /** A stack is one file system of its own, where the driver can do that. */
  readonly merged: boolean;
  /** Layers are read past the page cache of their files, where the driver can do that. */
  readonly directio: boolean;
  /** How long what an interrupted pull has fetched, or push has begun, is kept for the next one, milliseconds. */
  readonly resumeWindowMs: number;
}

/** Finds drivers for the store; the composition root has the list. */
export interface DriverChooser {
  /**
   * The named driver, or the best one that works in `directory`. Throws UNSUPPORTED with the reasons when none
   * does, NOT_FOUND when no driver has that name.
   * @param recorded the store was made with the named one: it worked, and need not be tried once more
   */
  choose(directory: string, name: string | undefined, recorded: boolean): Promise<DriverModule>;
}

export interface StoreContext {
  readonly paths: StorePaths;
  readonly config: StoreConfig;
  readonly metadata: Metadata;
  readonly blobs: FileBlobStore;
  readonly layers: LayerStore;
  readonly snapshots: DriverSnapshots;
  readonly session: Session;
  /** The store's driver, chosen and recorded when it is first needed. */
  driver(): Promise<StorageDriver>;
  readonly unpacker: LayerUnpacker;
  /** Its name, when the store has one already. */
  readonly driverName: string | undefined;
}
