/** The bytes of an unpacked file: whether they are those that the layer's tar held. */
import { readSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { Segment } from '../../src/archive/entry.ts';
import { seekData } from '../../src/sys/files.ts';

const CHUNK = 256 * 1024;
const ZEROS = Buffer.alloc(CHUNK);
const buffer = Buffer.allocUnsafeSlow(CHUNK);

export interface StoredContent {
  readonly size: number;
  /** The stretches that the tar held, in order; undefined for the whole file. */
  readonly segments?: readonly Segment[] | undefined;
  /** Of these, one after the other. */
  readonly crc32: number;
}

/** Reads what was stored, and of the holes between what the file system holds there: that has to be zeros. */
export function* sameContent(fd: number, { size, segments, crc32: sum }: StoredContent): Generator<undefined, boolean> {
  let found = 0;
  let end = 0;
  for (const { offset, length } of segments ?? [{ offset: 0, length: size }]) {
    if (!(yield* isHole(fd, end, offset))) return false;
    end = offset + length;
    for (let at = offset; at < end; ) {
      const read = readSync(fd, buffer, 0, Math.min(CHUNK, end - at), at);
      if (read === 0) return false;
      found = crc32(buffer.subarray(0, read), found);
      at += read;
      yield;
    }
  }
  return found === sum && (yield* isHole(fd, end, size));
}

/** Holes are passed over: a file system that has none reads zeros. */
function* isHole(fd: number, from: number, to: number): Generator<undefined, boolean> {
  for (let at = nextData(fd, from, to); at < to; at = nextData(fd, at, to)) {
    const read = readSync(fd, buffer, 0, Math.min(CHUNK, to - at), at);
    if (read === 0) return true;
    if (ZEROS.compare(buffer, 0, read, 0, read) !== 0) return false;
    at += read;
    yield;
  }
  return true;
}

function nextData(fd: number, from: number, to: number): number {
  return from >= to ? to : (seekData(fd, from) ?? to);
}
