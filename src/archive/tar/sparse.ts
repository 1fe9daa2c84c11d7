/**
 * Sparse files, in the four encodings there are: old GNU (type S), PAX 0.0, 0.1 and 1.0. GNU tar's manual, "Storing
 * Sparse Files". A map is the attacker's input: it must ascend, fit the file, and account for every stored byte.
 */
import { TslayerError } from '../../errors.ts';
import type { Segment } from '../entry.ts';
import { readNumber } from './numbers.ts';

function malformed(what: string): TslayerError {
  return new TslayerError('MALFORMED', `tar: ${what} in a sparse file`);
}

/** Collects a map from pairs of numbers, then checks it against the file. */
export class SparseMap {
  readonly #numbers: number[] = [];

  push(number: number): void {
    this.#numbers.push(number);
  }

  get count(): number {
    return this.#numbers.length;
  }

  /** The segments that hold data; those of length 0 only mark the end. */
  segments(size: number, storedSize: number): Segment[] {
    const numbers = this.#numbers;
    if (numbers.length % 2 !== 0) throw malformed('an offset without a length');
    const segments: Segment[] = [];
    let end = 0;
    let stored = 0;
    for (let i = 0; i < numbers.length; i += 2) {
      const [offset, length] = [numbers[i]!, numbers[i + 1]!];
      if (offset < end || length < 0 || offset + length > size) throw malformed('a segment out of place');
      end = offset + length;
      stored += length;
      if (length > 0) segments.push({ offset, length });
    }
    if (stored !== storedSize) throw malformed(`${storedSize} bytes stored for a map of ${stored}`);
    return segments;
  }
}

/** Fields of the old GNU header, and of the blocks that continue its map. */
export const OLD_GNU = { mapAt: 386, mapPairs: 4, extendedAt: 482, realSizeAt: 483 } as const;
export const OLD_GNU_EXTENSION = { mapAt: 0, mapPairs: 21, extendedAt: 504 } as const;
const FIELD = 12;

/** Reads `pairs` of offset and length; an empty field ends the list. */
export function readOldGnuPairs(bytes: Uint8Array, at: number, pairs: number, map: SparseMap): void {
  for (let i = 0; i < pairs; i++, at += 2 * FIELD) {
    if (bytes[at] === 0 && bytes[at + FIELD] === 0) return;
    map.push(readNumber(bytes, at, FIELD));
    map.push(readNumber(bytes, at + FIELD, FIELD));
  }
}

/** The map of PAX 1.0: decimal lines in front of the data, the first one their number, padded to whole blocks. */
export class MapReader {
  readonly map: SparseMap = new SparseMap();
  #value = 0;
  #digits = 0;
  #expected = -1;

  /** Feeds one block of 512 bytes at `at`; true when the map is complete. */
  feed(bytes: Uint8Array, at: number, length: number): boolean {
    for (let end = at + length; at < end; at++) {
      const byte = bytes[at]!;
      if (byte === 0x0a) {
        if (this.#line()) return true;
      } else {
        const digit = byte - 0x30;
        this.#value = this.#value * 10 + digit;
        if (digit < 0 || digit > 9 || !Number.isSafeInteger(this.#value)) throw malformed('a number that is none');
        this.#digits++;
      }
    }
    return false;
  }

  #line(): boolean {
    if (this.#digits === 0) throw malformed('an empty line');
    if (this.#expected === -1) this.#expected = this.#value * 2;
    else this.map.push(this.#value);
    this.#value = this.#digits = 0;
    return this.map.count === this.#expected;
  }
}
