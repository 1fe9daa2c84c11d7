/** Where the data of sparse files lies, as columns: one row a file, and a run of segments for each. */

import type { Segment } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';

/** A map of holes is a classic bomb (CVE-2025-58183): 4 million segments are 64 MB here, and no honest layer. */
const MAX_SEGMENTS = 4_000_000;

export interface SparseFile {
  /** Bytes of the file with its holes. */
  readonly size: number;
  /** Offset of the stored bytes in the raw tar; segment follows segment there. */
  readonly dataOffset: number;
  readonly segments: readonly Segment[];
}

export class SparseTable {
  readonly files: SparseFile[] = [];
  #segments = 0;

  add(file: SparseFile): number {
    checkSegments(file);
    this.#segments += file.segments.length;
    if (this.#segments > MAX_SEGMENTS) {
      throw new TslayerError('LIMIT_EXCEEDED', `sparse maps of a layer over ${MAX_SEGMENTS} segments`);
    }
    const segments = file.segments.filter((segment) => segment.length > 0);
    return this.files.push({ ...file, segments }) - 1;
  }
}

/** Ascending, apart, inside the file: what the chunk map relies on. */
function checkSegments({ segments, size }: SparseFile): void {
  let end = 0;
  for (const { offset, length } of segments) {
    if (!(offset >= end && length >= 0 && offset + length <= size && Number.isSafeInteger(offset))) {
      throw new TslayerError('MALFORMED', 'sparse map of a file is out of order or beyond its end');
    }
    end = offset + length;
  }
}
