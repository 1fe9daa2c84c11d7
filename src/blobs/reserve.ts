/**
 * A file that takes room away for the day when the disk is full. Removing an image writes before it frees: rows, the
 * database's log and its shared memory. On a disk that others filled to the last byte, nothing could be removed any
 * more; so the file goes when hardly anything is free, and comes back when there is room.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { noise } from '../sys/random.ts';
import { freeBytes, RESERVE_BYTES } from './space.ts';

/** Some transactions; the shared memory alone takes 32 KiB. */
const SIZE = 1024 * 1024;

/** Gives the room back, takes it, or does nothing, by what is free now. */
export function keepReserve(path: string): void {
  try {
    const free = freeBytes(dirname(path));
    if (free < SIZE) rmSync(path, { force: true });
    // Random bytes: some file systems keep zeros without room.
    else if (free > RESERVE_BYTES && !existsSync(path)) writeFileSync(path, noise(SIZE), { mode: 0o600 });
  } catch {
    // A store that may only be read has no need of it, and the rest is told by what is written next.
  }
}
