/**
 * What vfs remembers of a copy, so that finding its changes reads no unchanged file: which directory was made from
 * which, and when the copy was complete. A file in such a directory whose ctime lies before that moment has been
 * neither written, renamed nor given an attribute since; no user can set a ctime.
 *
 * The file `origin`: the inode numbers of the parent's and the copy's directories by turns, 64-bit little-endian.
 * Its own ctime is the moment.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { StatAt } from '../../src/sys/at.ts';
import { statAt } from '../../src/sys/at.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import type { Origin } from '../changes/compare.ts';

export function writeOrigin(path: string, directories: BigUint64Array): void {
  writeFileSync(path, new Uint8Array(directories.buffer), { mode: 0o600 });
}

/** Undefined where there is none: then everything is compared. */
export function readOrigin(path: string): Origin | undefined {
  const moment = statAt(AT_FDCWD, path);
  if (!moment) return undefined;
  const pairs = new BigUint64Array(Uint8Array.from(readFileSync(path)).buffer);
  const copyOf = new Map<bigint, bigint>();
  for (let index = 0; index + 1 < pairs.length; index += 2) copyOf.set(pairs[index]!, pairs[index + 1]!);
  return {
    sameDirectory: (now, parent) => copyOf.get(parent.ino) === now.ino,
    untouched: (now) => isBefore(now, moment),
  };
}

/** Strictly: the clock of file systems ticks in milliseconds, and a write may fall into the copy's last tick. */
function isBefore(a: StatAt, b: StatAt): boolean {
  return (
    a.ctimeSeconds < b.ctimeSeconds || (a.ctimeSeconds === b.ctimeSeconds && a.ctimeNanoseconds < b.ctimeNanoseconds)
  );
}
