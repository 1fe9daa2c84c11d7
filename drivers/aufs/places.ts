/** Where AUFS' lock and its tables of inode numbers lie: on tmpfs where there is one that root alone writes to. */
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const TMPFS = 0x01021994;
const RUN = '/run';

/** Where a layer or snapshot keeps its files; everything that becomes a branch does. */
export const DIFF = 'diff';

export interface AufsPlaces {
  readonly lock: string;
  /** Of a union; AUFS creates the file when it mounts and unlinks it at once. */
  xino(name: string): string;
}

/**
 * The table is written with every inode that is looked up; Docker moved it to /dev/shm for that. There anybody could
 * take its name first, so it is /run here, and the driver's own directory where that is no tmpfs. (Never overlayfs:
 * the driver refuses to live on it.)
 */
export function aufsPlaces(directory: string, run: string = RUN): AufsPlaces {
  const base = isTmpfs(run) ? join(run, 'tslayer-aufs') : join(directory, '.aufs');
  mkdirSync(base, { recursive: true, mode: 0o700 });
  return { lock: join(base, 'lock'), xino: (name) => join(base, `${name}.xino`) };
}

function isTmpfs(path: string): boolean {
  try {
    return statfsSync(path).type === TMPFS;
  } catch {
    return false;
  }
}
