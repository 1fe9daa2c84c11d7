/**
 * Sparse files as chunk maps: an array of block addresses, one a chunk of 2^n blocks, NULL_BLOCK for a hole.
 * Where the segments are aligned the chunks point into the tar. Where they are not, or where the map would be out of
 * proportion to the data (a file of terabytes with a few bytes in it; a million of them are a bomb), the chunks that
 * hold data are laid out anew behind the tar, in larger pieces, sparse on the disk beneath.
 */

import type { Segment } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import { BLOCK_BITS, BLOCK_SIZE, CHUNK_ADDRESS_SIZE, CHUNK_MAX_BITS, HEAD_SIZE, NULL_BLOCK } from '../format/layout.ts';
import type { SparseFile } from '../tree/sparse.ts';

/** Consecutive chunks whose data is contiguous. */
export interface ChunkRun {
  readonly first: number;
  readonly count: number;
  readonly block: number;
}

export interface ChunkPlan {
  /** log2 of the blocks in a chunk: the inode's chunk format. */
  readonly bits: number;
  readonly chunks: number;
  /** Ascending. */
  readonly runs: readonly ChunkRun[];
}

/** A piece of stored data that moves behind the tar; offsets in the image. */
export interface Copy {
  readonly from: number;
  readonly to: number;
  readonly length: number;
}

const COPY_MIN = 4096;

/** Chunks that a file's map may have: a kilobyte of map, and a sixteenth of the stored data, up to 16 MiB. */
function mapLimit({ segments }: SparseFile): number {
  const stored = segments.reduce((sum, { length }) => sum + length, 0);
  return Math.min(1 << 22, 256 + Math.floor(stored / 64));
}

/** Plans maps for the files of a layer; copies are handed out from `end` of the image on. */
export class ChunkPlanner {
  readonly copies: Copy[] = [];
  /** Where the image ends with all copies planned so far, bytes. */
  end: number;

  constructor(end: number) {
    this.end = end;
  }

  plan(file: SparseFile): ChunkPlan {
    const chunk = naturalChunk(file);
    if (chunk !== undefined && Math.ceil(file.size / chunk) <= mapLimit(file)) return direct(file, chunk);
    return this.#copied(file, copyChunk(file));
  }

  #copied({ size, segments, dataOffset }: SparseFile, chunk: number): ChunkPlan {
    const runs: { first: number; count: number; block: number }[] = [];
    let stored = HEAD_SIZE + dataOffset;
    for (const { offset, length } of segments) {
      const first = Math.floor(offset / chunk);
      const last = Math.floor((offset + length - 1) / chunk);
      let run = runs.at(-1);
      if (run === undefined || first > run.first + run.count) {
        run = { first, count: 0, block: this.end / BLOCK_SIZE };
        runs.push(run);
      }
      this.#extend(run, last, chunk);
      this.copies.push({ from: stored, to: run.block * BLOCK_SIZE + offset - run.first * chunk, length });
      stored += length;
    }
    return { bits: bitsOf(chunk), chunks: Math.ceil(size / chunk), runs };
  }

  #extend(run: { first: number; count: number }, last: number, chunk: number): void {
    const more = last + 1 - run.first - run.count;
    if (more <= 0) return;
    run.count += more;
    this.end += more * chunk;
    if (this.end / BLOCK_SIZE >= NULL_BLOCK)
      throw new TslayerError('LIMIT_EXCEEDED', 'a sparse file beyond 2 TiB of data');
  }
}

/** The largest chunk (up to 1 GiB) that lets the map point into the tar as it is; undefined when none does. */
function naturalChunk({ segments, size }: SparseFile): number | undefined {
  let chunk = 2 ** 30;
  const limitTo = (value: number) => {
    while (chunk >= BLOCK_SIZE && value % chunk !== 0) chunk /= 2;
  };
  for (const { offset, length } of segments) {
    limitTo(offset);
    if (offset + length !== size) limitTo(length);
  }
  return chunk < BLOCK_SIZE ? undefined : chunk;
}

function direct({ segments, size, dataOffset }: SparseFile, chunk: number): ChunkPlan {
  let stored = HEAD_SIZE + dataOffset;
  const runs = segments.map(({ offset, length }: Segment): ChunkRun => {
    const block = stored / BLOCK_SIZE;
    stored += length;
    return { first: offset / chunk, count: Math.ceil(length / chunk), block };
  });
  return { bits: bitsOf(chunk), chunks: Math.ceil(size / chunk), runs };
}

function copyChunk(file: SparseFile): number {
  const limit = mapLimit(file);
  let chunk = COPY_MIN;
  while (file.size / chunk > limit) chunk *= 2;
  if (bitsOf(chunk) > CHUNK_MAX_BITS) throw new TslayerError('LIMIT_EXCEEDED', `a sparse file of ${file.size} bytes`);
  return chunk;
}

function bitsOf(chunk: number): number {
  return Math.log2(chunk) - BLOCK_BITS;
}

/** Bytes of the map. */
export function mapBytes(plan: ChunkPlan): number {
  return plan.chunks * CHUNK_ADDRESS_SIZE;
}

/** Fills `out` with the addresses of chunks `from …`. */
export function fillAddresses(plan: ChunkPlan, from: number, out: Uint32Array): void {
  out.fill(NULL_BLOCK);
  const step = 2 ** plan.bits;
  for (const { first, count, block } of plan.runs) {
    const start = Math.max(first, from);
    const end = Math.min(first + count, from + out.length);
    for (let chunk = start; chunk < end; chunk++) out[chunk - from] = block + (chunk - first) * step;
  }
}
