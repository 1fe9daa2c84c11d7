/** Free space: looked at before a write begins and while it goes on, so that a disk is never filled to the last byte. */
import { statfsSync } from 'node:fs';
import { TslayerError } from '../errors.ts';

/** Left free for the metadata, which must be able to say that the rest was full. Bytes. */
export const RESERVE_BYTES: number = 4 * 1024 * 1024;

export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** Throws NO_SPACE unless `bytes` more fit beside the reserve. */
export function requireSpace(directory: string, bytes: number, what: string): void {
  const free = freeBytes(directory);
  if (free >= bytes + RESERVE_BYTES) return;
  const needed = `${inMegabytes(bytes)}, and ${inMegabytes(RESERVE_BYTES)} in reserve`;
  throw new TslayerError('NO_SPACE', `${what} needs ${needed}; ${directory} has ${inMegabytes(free)} free`);
}

function inMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
