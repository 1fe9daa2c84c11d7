/** The bytes of changed files: where they are stored, whether they differ, and how they are read. */
import { readSync } from 'node:fs';
import type { Segment } from '../../src/archive/entry.ts';
import { TslayerError } from '../../src/errors.ts';
import { isSameFile, openQuietly, type StatAt } from '../../src/sys/at.ts';
import { seekData, seekHole } from '../../src/sys/files.ts';
import { closeFd } from '../../src/sys/libc.ts';
import type { Located } from './metadata.ts';

const CHUNK = 256 * 1024;

/** Opens the very file that was looked at: a running container may have put something else under its name. */
function openFile({ parentFd, name, stat }: Located): number {
  const fd = openQuietly(parentFd, name);
  if (isSameFile(fd, stat)) return fd;
  closeFd(fd);
  throw new TslayerError('FAILED', `${JSON.stringify(name.toString())} was replaced while it was read`, {
    hint: 'pause the container, then try again',
  });
}

/** The stretches that hold data, where the file has holes; undefined for a dense one. */
export function segmentsOf(located: Located): Segment[] | undefined {
  const { size, blocks } = located.stat;
  if (size === 0 || blocks * 512 >= size) return undefined;
  const fd = openFile(located);
  try {
    const segments: Segment[] = [];
    for (let data = seekData(fd, 0); data !== undefined && data < size; ) {
      const hole = Math.min(seekHole(fd, data), size);
      segments.push({ offset: data, length: hole - data });
      data = hole >= size ? undefined : seekData(fd, hole);
    }
    // A file system that packs or compresses has fewer blocks without a hole.
    return segments[0]?.length === size ? undefined : segments;
  } finally {
    closeFd(fd);
  }
}

/** Compares two files of one size, a chunk at a time; what is a hole in both is passed over. */
export function* sameContent(a: Located, b: Located): Generator<void, boolean> {
  const [fdA, fdB] = [openFile(a), openFile(b)];
  try {
    const [bufferA, bufferB] = [Buffer.allocUnsafe(CHUNK), Buffer.allocUnsafe(CHUNK)];
    for (let at = nextData(fdA, fdB, 0); at < a.stat.size; at = nextData(fdA, fdB, at + CHUNK)) {
      const length = Math.min(CHUNK, a.stat.size - at);
      const [readA, readB] = [readSync(fdA, bufferA, 0, length, at), readSync(fdB, bufferB, 0, length, at)];
      if (readA !== readB || bufferA.compare(bufferB, 0, readB, 0, readA) !== 0) return false;
      yield;
    }
    return true;
  } finally {
    closeFd(fdA);
    closeFd(fdB);
  }
}

function nextData(fdA: number, fdB: number, at: number): number {
  return Math.min(seekData(fdA, at) ?? Number.POSITIVE_INFINITY, seekData(fdB, at) ?? Number.POSITIVE_INFINITY);
}

/**
 * The stored bytes: all of a dense file, one segment after the other of a sparse one. Exactly as many as were
 * announced: a file that shrinks meanwhile is filled up with zeros, as tar does it.
 */
export async function* readContent(
  located: Located,
  segments: readonly Segment[] | undefined,
): AsyncGenerator<Uint8Array, void> {
  const fd = openFile(located);
  try {
    for (const { offset, length } of segments ?? [{ offset: 0, length: located.stat.size }]) {
      for (let at = offset; at < offset + length; ) {
        const chunk = Buffer.allocUnsafe(Math.min(CHUNK, offset + length - at));
        const read = readSync(fd, chunk, 0, chunk.length, at);
        if (read < chunk.length) chunk.fill(0, read);
        yield chunk;
        at += chunk.length;
      }
    }
  } finally {
    closeFd(fd);
  }
}

/** The same of a dense file, at once. */
export function readContentInto(located: Located, target: Uint8Array): void {
  const fd = openFile(located);
  try {
    const read = readSync(fd, target, 0, target.length, 0);
    if (read < target.length) target.fill(0, read);
  } finally {
    closeFd(fd);
  }
}

export function storedSizeOf(stat: StatAt, segments: readonly Segment[] | undefined): number {
  return segments === undefined ? stat.size : segments.reduce((sum, { length }) => sum + length, 0);
}
