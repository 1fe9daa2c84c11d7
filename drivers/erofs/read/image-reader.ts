/**
 * Reads images that this driver wrote, without mounting them: attributes of the root, whether a path is there,
 * whole directories. Images are our own, yet every offset is checked against the file: a damaged disk must give an
 * error and no endless loop.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { Xattr } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import { type Inode, readInode } from '../format/inode.ts';
import {
  BLOCK_SIZE,
  CHUNK_ADDRESS_SIZE,
  DIRENT_SIZE,
  HEAD_SIZE,
  INODE_SIZE,
  LAYOUT_FLAT_INLINE,
  LAYOUT_FLAT_PLAIN,
  SLOT_SIZE,
  XATTR_HEADER_SIZE,
} from '../format/layout.ts';
import { type LayerNote, readNote } from '../format/note.ts';
import { decodeHead, type Superblock } from '../format/superblock.ts';
import { decodeXattrs } from '../format/xattr.ts';

/** Metadata is read in windows of this size. */
const WINDOW = 1 << 16;

export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly nid: number;
  /** FT_*. */
  readonly type: number;
}

export class ImageReader implements Disposable {
  readonly superblock: Superblock;
  readonly note: LayerNote;
  readonly #fd: number;
  readonly #size: number;
  readonly #window: Uint8Array = new Uint8Array(WINDOW);
  #windowAt = -1;
  #windowEnd = -1;

  constructor(path: string) {
    this.#fd = openSync(path, 'r');
    try {
      this.#size = fstatSync(this.#fd).size;
      const head = this.bytes(0, HEAD_SIZE);
      this.superblock = decodeHead(head);
      this.note = readNote(head);
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  get root(): Inode {
    return this.inode(this.superblock.rootNid);
  }

  inode(nid: number): Inode {
    return readInode(this.bytes(this.#offset(nid), INODE_SIZE), nid);
  }

  xattrs(inode: Inode): Xattr[] {
    if (inode.xattrBytes === 0) return [];
    return decodeXattrs(this.bytes(this.#offset(inode.nid) + INODE_SIZE, inode.xattrBytes));
  }

  /** The same as they are stored, without their header. */
  xattrEntries(inode: Inode): Uint8Array {
    if (inode.xattrBytes === 0) return new Uint8Array(0);
    const start = this.#offset(inode.nid) + INODE_SIZE;
    return this.bytes(start + XATTR_HEADER_SIZE, inode.xattrBytes - XATTR_HEADER_SIZE);
  }

  /** A sparse file's block addresses, a chunk each, NULL_BLOCK for a hole: in pieces of so many. */
  *chunkAddresses(inode: Inode, piece: number): Generator<Uint32Array, void> {
    const start = this.#offset(inode.nid) + INODE_SIZE + inode.xattrBytes;
    const count = Math.ceil(inode.size / (BLOCK_SIZE * 2 ** inode.place));
    for (let from = 0; from < count; from += piece) {
      const length = Math.min(piece, count - from);
      const bytes = this.bytes(start + from * CHUNK_ADDRESS_SIZE, length * CHUNK_ADDRESS_SIZE);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      yield Uint32Array.from({ length }, (_, at) => view.getUint32(at * CHUNK_ADDRESS_SIZE, true));
    }
  }

  /** A symbolic link's target. */
  target(inode: Inode): Uint8Array {
    return this.#content(inode);
  }

  /** A directory's entries in their order, without `.` and `..`. */
  *entries(directory: Inode): Generator<DirectoryEntry, void> {
    const content = this.#content(directory);
    for (let at = 0; at < content.length; at += BLOCK_SIZE) {
      yield* blockEntries(content.subarray(at, at + BLOCK_SIZE));
    }
  }

  /** The inode at a path (no links followed), or undefined. */
  lookup(path: Uint8Array): Inode | undefined {
    let inode = this.root;
    for (let start = 0; start < path.length; ) {
      const slash = path.indexOf(0x2f, start);
      const end = slash === -1 ? path.length : slash;
      const nid = this.child(inode, path.subarray(start, end));
      if (nid === undefined) return undefined;
      inode = this.inode(nid);
      start = end + 1;
    }
    return inode;
  }

  /** The slot of a name in a directory; undefined where there is none, or no directory. */
  child(directory: Inode, name: Uint8Array): number | undefined {
    if ((directory.mode & constants.S_IFMT) !== constants.S_IFDIR) return undefined;
    for (const entry of this.entries(directory)) if (Buffer.compare(entry.name, name) === 0) return entry.nid;
    return undefined;
  }

  /** Bytes of the file, from its window where they lie in it; valid until the next call. */
  bytes(offset: number, length: number): Uint8Array {
    this.#require(offset, length);
    if (length > WINDOW) return this.#read(new Uint8Array(length), offset);
    if (offset < this.#windowAt || offset + length > this.#windowEnd) {
      this.#windowAt = offset;
      this.#windowEnd = offset + Math.min(WINDOW, this.#size - offset);
      this.#read(this.#window.subarray(0, this.#windowEnd - offset), offset);
    }
    const from = offset - this.#windowAt;
    return this.#window.subarray(from, from + length);
  }

  #read<B extends Uint8Array>(into: B, offset: number): B {
    for (let done = 0; done < into.length; ) {
      const got = readSync(this.#fd, into, done, into.length - done, offset + done);
      if (got === 0) throw new TslayerError('MALFORMED', 'EROFS image cut short');
      done += got;
    }
    return into;
  }

  #offset(nid: number): number {
    return this.superblock.metaBlock * BLOCK_SIZE + nid * SLOT_SIZE;
  }

  /** What a directory or link holds: short or in blocks of their own. */
  #content(inode: Inode): Uint8Array {
    if (inode.layout === LAYOUT_FLAT_INLINE) {
      return this.bytes(this.#offset(inode.nid) + INODE_SIZE + inode.xattrBytes, inode.size).slice();
    }
    if (inode.layout !== LAYOUT_FLAT_PLAIN) throw new TslayerError('MALFORMED', 'damaged EROFS image');
    // Not through the window, which stays where the inodes are.
    this.#require(inode.place * BLOCK_SIZE, inode.size);
    return this.#read(new Uint8Array(inode.size), inode.place * BLOCK_SIZE);
  }

  #require(offset: number, length: number): void {
    if (!(offset >= 0 && offset + length <= this.#size)) throw new TslayerError('MALFORMED', 'damaged EROFS image');
  }
}

function* blockEntries(block: Uint8Array): Generator<DirectoryEntry, void> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const count = block.length < DIRENT_SIZE ? 0 : view.getUint16(8, true) / DIRENT_SIZE;
  if (!Number.isInteger(count) || count * DIRENT_SIZE > block.length) {
    throw new TslayerError('MALFORMED', 'damaged EROFS directory');
  }
  for (let row = 0; row < count; row++) {
    const at = row * DIRENT_SIZE;
    const start = view.getUint16(at + 8, true);
    const name = block.subarray(
      start,
      row + 1 < count ? view.getUint16(at + DIRENT_SIZE + 8, true) : nameEnd(block, start),
    );
    if (isDots(name)) continue;
    yield { name, nid: view.getUint32(at, true), type: view.getUint8(at + 10) };
  }
}

/** The last name of a block ends with the directory, or with zeros. */
function nameEnd(block: Uint8Array, start: number): number {
  const zero = block.indexOf(0, start);
  return zero === -1 ? block.length : zero;
}

function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}
