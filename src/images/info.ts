/** What a store is and how much is in it, for `tslayer info`. From rows, without looking at the disk. */
import { statfsSync } from 'node:fs';
import type { StoreContext } from './context.ts';

export interface StoreInfo {
  readonly root: string;
  /** Null while the store has none yet. */
  readonly driver: string | null;
  readonly durability: 'layer' | 'none';
  readonly keepBlobs: boolean;
  /** Whether a stack is mounted as one file system, where the driver can do that. */
  readonly merged: boolean;
  /** Whether layers are read past the page cache of their files, where the driver can do that. */
  readonly directio: boolean;
  /** Names. */
  readonly images: number;
  readonly blobs: { readonly count: number; readonly bytes: number };
  readonly layers: { readonly count: number; readonly bytes: number };
  readonly mounts: number;
  readonly containers: number;
  /** Interrupted pulls that can go on, running operations and pins. */
  readonly leases: number;
  readonly freeBytes: number;
  readonly sizeBytes: number;
}

export function storeInfo(context: StoreContext): StoreInfo {
  const { paths, config, metadata } = context;
  const { database } = metadata;
  const sum = (sql: string) => database.get<{ count: number; bytes: number }>(sql) ?? { count: 0, bytes: 0 };
  const count = (table: string) => sum(`SELECT count(*) AS count, 0 AS bytes FROM ${table}`).count;
  const { bavail, blocks, bsize } = statfsSync(paths.root);
  return {
    root: paths.root,
    driver: context.driverName ?? null,
    durability: config.durability,
    keepBlobs: config.keepBlobs,
    merged: config.merged,
    directio: config.directio,
    images: count('images'),
    blobs: sum('SELECT count(*) AS count, CAST(total(size) AS INTEGER) AS bytes FROM blobs'),
    layers: sum('SELECT count(*) AS count, CAST(total(bytes) AS INTEGER) AS bytes FROM layers'),
    mounts: count('mounts'),
    containers: count('containers'),
    leases: count('leases'),
    freeBytes: bavail * bsize,
    sizeBytes: blocks * bsize,
  };
}
