/**
 * What lies between an image's tar and its metadata: data of sparse files that had to be laid out anew, mostly holes;
 * of most images nothing but zeros.
 */
import { readSync } from 'node:fs';
import { seekData } from '../../src/sys/files.ts';
import { openHash } from '../../src/sys/hash.ts';
import { BLOCK_SIZE } from './format/layout.ts';

const CHUNK = 1 << 18;
const ZEROS = Buffer.alloc(CHUNK);

/** Of an image that has none. */
export const NOTHING_COPIED: Uint8Array = new Uint8Array(32);

/**
 * sha256 of the blocks that hold something, each with its number before it: the same whatever of the rest is a hole
 * on the disk, and holes are not read.
 */
export function* digestCopied(fd: number, from: number, to: number): Generator<undefined, Uint8Array> {
  const hash = openHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK);
  let found = false;
  for (let at = next(fd, from, from, to); at < to; at = next(fd, from, at, to)) {
    const got = readSync(fd, buffer, 0, Math.min(CHUNK, to - at), at);
    if (got === 0) break;
    for (let start = 0; start < got; start += BLOCK_SIZE) {
      const block = buffer.subarray(start, Math.min(start + BLOCK_SIZE, got));
      if (ZEROS.compare(block, 0, block.length, 0, block.length) === 0) continue;
      hash.update(numberOf((at + start - from) / BLOCK_SIZE));
      hash.update(block);
      found = true;
    }
    at += got;
    yield;
  }
  return found ? hash.digest() : NOTHING_COPIED;
}

/** The block that the next data is in. */
function next(fd: number, from: number, at: number, to: number): number {
  if (at >= to) return to;
  const data = seekData(fd, at) ?? to;
  return Math.max(at, data - ((data - from) % BLOCK_SIZE));
}

function numberOf(block: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(block));
  return bytes;
}
