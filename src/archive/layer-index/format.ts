/**
 * The file that says what a layer holds, so that nobody has to read the layer again for it:
 *
 *   "TSLINDX1"                                      8 bytes
 *   block*   u32 length, zstd frame of that length; or with the top bit set u32 CRC-32, the block as it is
 *   end      u32 0, u32 blocks, u32 entries
 *
 * A block holds up to 8192 records as columns: what is alike stands together, packs small (12 to 25 bytes a record)
 * and costs no object. Blocks are written as they fill up and read one by one, so that a million entries take no
 * more memory than a thousand. A file without its end is unfinished and refused. What fits in a block of the disk
 * anyway is not packed: that would take a small layer more time than reading it.
 *
 *   block    u32 records, u32 length of names, u32 length of xattrs, u32 count of segment numbers
 *            f64 mtime, size, gap                   columns, each as long as the block has records
 *            u32 uid, gid, nanoseconds, crc, xattrs, shared, suffix, link
 *            u16 mode
 *            u8  kind
 *            names, xattrs, (to the next multiple of 8) f64 segment numbers
 *
 * Paths are front-coded: `shared` bytes of the record before, then `suffix` bytes of `names`; `link` bytes of a
 * link's target follow there. A device's numbers are its size, major × 2^32 + minor. `gap` is what lies in the tar
 * between the end of the data before and this record's data. `crc` is the CRC-32 of the stored data: it finds
 * changes without reading contents, and proves nothing about equality. `xattrs` is an offset plus 1 into the block's
 * xattrs, 0 for none: u16 count, then for each u16 and u32 lengths of name and value, name, value.
 */
import type { EntryType } from '../entry.ts';

export const MAGIC = 'TSLINDX1';
export const BLOCK_RECORDS = 8192;
/** Bytes of names after which a block is closed early. */
export const BLOCK_BYTES: number = 1024 ** 2;
/** No honest block comes near; a reader allocates no more than this for one. */
export const MAX_BLOCK: number = 64 * 1024 ** 2;

/** In a block's length: it is not packed. */
export const STORED: number = 2 ** 31;
/** Bytes up to which a block is stored. */
export const STORED_BYTES = 4000;

export const HEADER_WORDS = 4;
const DOUBLES = 3;
const WORDS = 8;

export const KINDS: readonly (EntryType | 'whiteout' | 'opaque' | 'sparse')[] = [
  'file',
  'directory',
  'symlink',
  'hardlink',
  'char',
  'block',
  'fifo',
  'whiteout',
  'opaque',
  'sparse', // a file with a map: segment numbers are its count, then offset and length of each
];

/** The columns of a block as views of one buffer. */
export interface Columns {
  readonly mtime: Float64Array;
  readonly size: Float64Array;
  readonly gap: Float64Array;
  readonly uid: Uint32Array;
  readonly gid: Uint32Array;
  readonly nanoseconds: Uint32Array;
  readonly crc: Uint32Array;
  readonly xattrs: Uint32Array;
  readonly shared: Uint32Array;
  readonly suffix: Uint32Array;
  readonly link: Uint32Array;
  readonly mode: Uint16Array;
  readonly kind: Uint8Array;
  /** Where the columns end. */
  readonly end: number;
}

/** Lays columns of `records` over `buffer` from `at`, a multiple of 8. */
export function columnsOf(buffer: ArrayBuffer, at: number, records: number): Columns {
  const doubles = (i: number) => new Float64Array(buffer, at + i * 8 * records, records);
  const wordsAt = at + DOUBLES * 8 * records;
  const words = (i: number) => new Uint32Array(buffer, wordsAt + i * 4 * records, records);
  const modeAt = wordsAt + WORDS * 4 * records;
  return {
    mtime: doubles(0),
    size: doubles(1),
    gap: doubles(2),
    uid: words(0),
    gid: words(1),
    nanoseconds: words(2),
    crc: words(3),
    xattrs: words(4),
    shared: words(5),
    suffix: words(6),
    link: words(7),
    mode: new Uint16Array(buffer, modeAt, records),
    kind: new Uint8Array(buffer, modeAt + 2 * records, records),
    end: modeAt + 3 * records,
  };
}

/** Copies the first `records` of each column. */
export function copyColumns(from: Columns, to: Columns, records: number): void {
  for (const name of Object.keys(to) as (keyof Columns)[]) {
    if (name !== 'end') to[name].set(from[name].subarray(0, records));
  }
}

/** Bytes that `records` take in columns. */
export function columnBytes(records: number): number {
  return records * (DOUBLES * 8 + WORDS * 4 + 3);
}

export function align8(length: number): number {
  return (length + 7) & ~7;
}
