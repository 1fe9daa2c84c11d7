/** What the store takes for itself: database, index.json, file indexes, partial blobs, directories. */
import { lstatSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { readMountInfo } from '../mounts/mountinfo.ts';
import { STORE_DIRECTORIES } from '../store-layout.ts';
import { readNames } from '../sys/read-names.ts';
import type { StoreContext } from './context.ts';
import { type Amount, addAmount } from './usage.ts';

export interface Overhead extends Readonly<Amount> {
  /** metadata.db with its write-ahead log. */
  readonly database: Readonly<Amount>;
  /** Indexes of the layers' files. */
  readonly indexes: Readonly<Amount>;
  /** Unfinished blobs, kept for the next pull. */
  readonly partial: Readonly<Amount>;
  /** What the driver keeps for itself, above all of whole stacks. */
  readonly driver: Readonly<Amount>;
  /** Configs, states and logs of containers. */
  readonly containers: Readonly<Amount>;
  /** Directories, locks, the layout's own files, scratch, the reserve. */
  readonly rest: Readonly<Amount>;
}

/** Looks at each file of the small areas; blobs and layers are counted by their rows. */
export async function overheadOf({ paths }: StoreContext): Promise<Overhead> {
  const driversOwn = await driverOwn(paths.layers);
  const mounted = mountPointsIn(paths.root);
  const content = (directory: string) => contentOf(directory, mounted);
  const database = amountOf([paths.database, `${paths.database}-wal`, `${paths.database}-shm`]);
  const indexes = content(paths.indexes);
  const partial = content(paths.ingest);
  const containers = content(paths.containers);
  const own = STORE_DIRECTORIES.map((name) => paths[name]);
  const algorithms = readdirSync(paths.blobs).map((name) => join(paths.blobs, name));
  const rest = amountOf([paths.root, paths.reserve, paths.ociLayout, paths.index, ...own, ...algorithms]);
  const driver: Amount = { bytes: 0, inodes: 0 };
  for (const name of driversOwn) {
    const path = join(paths.layers, name);
    addAmount(driver, amountOf([path]));
    addAmount(driver, content(path));
  }
  for (const directory of [paths.uploads, paths.locks, paths.sessions, paths.tmp, paths.mounts, paths.run]) {
    addAmount(rest, content(directory));
  }
  const sum: Amount = { bytes: 0, inodes: 0 };
  for (const part of [database, indexes, partial, driver, containers, rest]) addAmount(sum, part);
  return { ...sum, database, indexes, partial, driver, containers, rest };
}

function amountOf(paths: readonly string[]): Amount {
  const sum: Amount = { bytes: 0, inodes: 0 };
  for (const path of paths) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found) addAmount(sum, { bytes: found.blocks * 512, inodes: 1 });
  }
  return sum;
}

/** Mountpoints in the store. What is mounted shows files of other places, with vfs such that are counted there. */
export function mountPointsIn(root: string): ReadonlySet<string> {
  const real = realpathSync(root);
  const inside = readMountInfo().filter(({ mountPoint }) => mountPoint.startsWith(`${real}/`));
  return new Set(inside.map(({ mountPoint }) => root + mountPoint.slice(real.length)));
}

/** All below a directory, without what is mounted there. */
function contentOf(directory: string, mounted: ReadonlySet<string>): Amount {
  const sum: Amount = { bytes: 0, inodes: 0 };
  const found = lstatSync(directory, { throwIfNoEntry: false });
  if (!found?.isDirectory()) return sum;
  const device = found.dev;
  const pending = [directory];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of readdirSync(next, { withFileTypes: true })) {
      const path = join(next, entry.name);
      if (mounted.has(path)) continue;
      const stat = lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined || stat.dev !== device) continue;
      addAmount(sum, { bytes: stat.blocks * 512, inodes: 1 });
      if (entry.isDirectory()) pending.push(path);
    }
  }
  return sum;
}

/** Names in the driver's directory that are no layer or snapshot. */
export async function driverOwn(directory: string): Promise<string[]> {
  return (await readNames(directory)).filter(isDriverOwn);
}

export function isDriverOwn(name: string): boolean {
  return !/^[0-9a-z]/.test(name);
}
