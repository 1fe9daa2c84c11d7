/**
 * The rows of a tree as columns of typed arrays: some 100 bytes an entry where objects take 660. A row is a number;
 * row 0 of each table is special and described there.
 */
import { returnLargeBlocks } from '../../../src/sys/allocator.ts';
import type { Arena } from './arena.ts';

type Column = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Rows from which on memory matters: most layers have fewer. */
const MANY = 1 << 16;

/**
 * The column with more rows. The old memory is given back at once and not when the collector sees to it; new memory
 * costs nothing until it is written to, so zeros are not copied.
 */
export function widened<C extends Column>(column: C, rows: number): C {
  const grown = new (column.constructor as new (rows: number) => C)(rows);
  // A few pages: the collector's are soon enough, and zeros soon copied.
  if (column.length < STRETCH) {
    grown.set(column as never);
    return grown;
  }
  for (let from = 0; from < column.length; from += STRETCH) {
    const stretch = column.subarray(from, from + STRETCH);
    if (stretch.some(isSet)) grown.set(stretch as never, from);
  }
  column.buffer.transfer(0);
  return grown;
}

/** Rows that are copied together: many pages. */
const STRETCH = 1 << 14;

const isSet = (value: number): boolean => value !== 0;

/** Leaves a zero alone where there is one: many columns are nothing but zeros, and take no memory then. */
export function put(column: Column, row: number, value: number): void {
  if (column[row] !== value) column[row] = value;
}

const FIRST = 256;

/** Doubles while small; then by half, since some of what is asked for is touched. */
export function nextCapacity(rows: number): number {
  return rows < MANY ? rows * 2 : rows + (rows >> 1);
}

/** Inodes. Row 0 is the whiteout: a character device 0:0 that all whiteouts of the layer share. */
export class InodeTable {
  count = 0;
  #capacity: number = FIRST;
  /** Type and permissions, as st_mode; 0o020000 for row 0. */
  mode: Uint16Array<ArrayBuffer> = new Uint16Array(FIRST);
  uid: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  gid: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  seconds: Float64Array<ArrayBuffer> = new Float64Array(FIRST);
  nanoseconds: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  size: Float64Array<ArrayBuffer> = new Float64Array(FIRST);
  /** File: first block, or row of the sparse map; directory: its row; symlink: arena offset; device: number. */
  place: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  /** Data layout (LAYOUT_*). */
  layout: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST);
  /** Record of the encoded attributes in the arena, 0 for none. */
  xattrs: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  /** Names that lead to it. Empty until all inodes are there (settle). */
  links: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** Slot in the image; 0 until it has one. Likewise. */
  nid: Uint32Array<ArrayBuffer> = new Uint32Array(0);

  add(): number {
    if (this.count === this.#capacity) this.#grow();
    return this.count++;
  }

  #grow(): void {
    const rows = nextCapacity(this.#capacity);
    if (rows > MANY) returnLargeBlocks();
    this.#capacity = rows;
    this.mode = widened(this.mode, rows);
    this.uid = widened(this.uid, rows);
    this.gid = widened(this.gid, rows);
    this.seconds = widened(this.seconds, rows);
    this.nanoseconds = widened(this.nanoseconds, rows);
    this.size = widened(this.size, rows);
    this.place = widened(this.place, rows);
    this.layout = widened(this.layout, rows);
    this.xattrs = widened(this.xattrs, rows);
  }

  /** No more inodes come: makes the columns that only a whole tree has. */
  settle(): void {
    this.links = new Uint32Array(this.count);
    this.nid = new Uint32Array(this.count);
  }
}

/** Names in directories. Row 0 is nobody and ends lists. */
export class DentryTable {
  count = 1;
  #capacity: number = FIRST;
  /** Row of the directory that holds the name. */
  directory: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  nameAt: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  nameLength: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST);
  inode: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  /** Next name of the same directory. */
  sibling: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  /** Next name in the same hash bucket. */
  chain: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);

  add(): number {
    if (this.count === this.#capacity) this.#grow();
    return this.count++;
  }

  #grow(): void {
    const rows = nextCapacity(this.#capacity);
    this.#capacity = rows;
    this.directory = widened(this.directory, rows);
    this.nameAt = widened(this.nameAt, rows);
    this.nameLength = widened(this.nameLength, rows);
    this.inode = widened(this.inode, rows);
    this.sibling = widened(this.sibling, rows);
    this.chain = widened(this.chain, rows);
  }

  /** No more names come, and none is looked up: gives back what finding them took. */
  settle(): void {
    this.chain.buffer.transfer(0);
    this.directory.buffer.transfer(0);
  }
}

/** Set in DirectoryTable.flags. */
export const OPAQUE = 1;
/** No entry of the tar names it: only its children do. */
export const IMPLICIT = 2;
/** Replaced by something else, with all that was in it. */
export const DEAD = 4;
/** Lies in an opaque directory, or is one: nothing of a lower layer can show up here. */
export const SEALED = 8;

/** Directories. Row 0 is the root. A parent's row is always smaller than its children's. */
export class DirectoryTable {
  count = 0;
  #capacity: number = FIRST;
  inode: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  parent: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  /** First dentry, 0 for none. */
  first: Uint32Array<ArrayBuffer> = new Uint32Array(FIRST);
  flags: Uint8Array<ArrayBuffer> = new Uint8Array(FIRST);

  add(): number {
    if (this.count === this.#capacity) {
      this.#capacity = nextCapacity(this.#capacity);
      this.inode = widened(this.inode, this.#capacity);
      this.parent = widened(this.parent, this.#capacity);
      this.first = widened(this.first, this.#capacity);
      this.flags = widened(this.flags, this.#capacity);
    }
    return this.count++;
  }
}

/** A whole tree, be it of one layer or of a stack: what writing an image of it takes. */
export interface TreeTables {
  readonly arena: Arena;
  readonly inodes: InodeTable;
  readonly dentries: DentryTable;
  readonly directories: DirectoryTable;
  /** Arena offset of the name `..`, and so of `.` too. */
  readonly dotsAt: number;
}
