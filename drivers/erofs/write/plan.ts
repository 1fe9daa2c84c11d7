/**
 * Decides where each inode, directory and chunk map of a whole tree goes in the metadata area:
 *
 *     [64 bytes free, or the device table][inodes, each with its xattrs and its inline tail or chunk map]…[blocks of directories and links]
 *
 * Inodes of one directory follow each other, as `find` and `ls -l` read them. Slot 0 stays free, since a nid of 0
 * means "none"; the root comes first, since the superblock has 16 bits for its slot.
 */
import { constants } from 'node:fs';
import { TslayerError } from '../../../src/errors.ts';
import { DirentList } from '../format/dirents.ts';
import {
  alignUp,
  BLOCK_SIZE,
  INODE_SIZE,
  LAYOUT_FLAT_INLINE,
  LAYOUT_FLAT_PLAIN,
  NULL_BLOCK,
  SLOT_SIZE,
  XATTR_HEADER_SIZE,
} from '../format/layout.ts';
import type { TreeTables } from '../tree/tables.ts';
import { type ChunkMaps, isChunked } from './chunk-maps.ts';
import { listDirectory } from './list-directory.ts';

const { S_IFDIR, S_IFLNK, S_IFMT } = constants;

/** Bytes left free at the start of the metadata area where nothing else stands there. */
export const RESERVED: number = INODE_SIZE;

export interface ImagePlan {
  /** Bytes from the image's start to the metadata area, a multiple of 4096. */
  readonly metaStart: number;
  /** Start of the blocks behind the inodes, and their end; bytes from the image's start. */
  readonly blocksStart: number;
  readonly end: number;
  /** First block of what is not stored inline, by inode row. */
  readonly blockOf: ReadonlyMap<number, number>;
}

export interface PlanOptions {
  readonly metaStart: number;
  /** Bytes that the metadata area begins with; more than 0. */
  readonly reserved: number;
}

/** @param order the directories' rows, parents before children, the root first; all with sorted children */
export function planImage(
  tree: TreeTables,
  order: Iterable<number>,
  maps: ChunkMaps,
  { metaStart, reserved }: PlanOptions,
): ImagePlan {
  const placer = new Placer(tree, maps, reserved);
  placer.place(tree.directories.inode[0]!);
  for (const row of order) {
    for (let dentry = tree.directories.first[row]!; dentry !== 0; dentry = tree.dentries.sibling[dentry]!) {
      placer.place(tree.dentries.inode[dentry]!);
    }
  }
  const blocksStart = alignUp(metaStart + placer.end, BLOCK_SIZE);
  const { blockOf, end } = placer.placeBlocks(blocksStart);
  if (end / BLOCK_SIZE >= NULL_BLOCK) throw new TslayerError('LIMIT_EXCEEDED', 'an EROFS image ends at 2 TiB');
  return { metaStart, blocksStart, end, blockOf };
}

/** Bytes of an inode and its attributes. */
export function headBytes(xattrEntryBytes: number): number {
  return INODE_SIZE + (xattrEntryBytes === 0 ? 0 : XATTR_HEADER_SIZE + xattrEntryBytes);
}

class Placer {
  readonly #tree: TreeTables;
  readonly #maps: ChunkMaps;
  readonly #list: DirentList = new DirentList();
  /** Inodes with blocks of their own, in the order of their inodes. */
  readonly #blocky: number[] = [];
  /** Bytes from the metadata area's start. */
  end: number;

  constructor(tree: TreeTables, maps: ChunkMaps, reserved: number) {
    this.#tree = tree;
    this.#maps = maps;
    this.end = reserved;
  }

  /** Gives an inode its slot, once however many names it has. */
  place(inode: number): void {
    const { inodes, arena } = this.#tree;
    if (inodes.nid[inode] !== 0) return;
    const head = headBytes(arena.recordLength(inodes.xattrs[inode]!));
    const tail = this.#tail(inode, head);
    let at = alignUp(this.end, SLOT_SIZE);
    const inBlock = at % BLOCK_SIZE;
    // An inline tail must lie in one block with its inode; an inode without one is only kept whole.
    const together = inodes.layout[inode] === LAYOUT_FLAT_INLINE ? head + tail : INODE_SIZE;
    if (inBlock + together > BLOCK_SIZE) at += BLOCK_SIZE - inBlock;
    inodes.nid[inode] = at / SLOT_SIZE;
    this.end = at + head + tail;
  }

  /** Bytes that follow the inode; settles its layout and, for a directory, its size. */
  #tail(inode: number, head: number): number {
    const { inodes } = this.#tree;
    const type = inodes.mode[inode]! & S_IFMT;
    if (isChunked(this.#tree, inode)) return alignUp(head, this.#maps.unit) - head + this.#maps.bytes(inode);
    if (type !== S_IFDIR && type !== S_IFLNK) return 0;
    if (type === S_IFDIR) {
      listDirectory(this.#tree, inodes.place[inode]!, this.#list);
      inodes.size[inode] = this.#list.size();
    }
    const size = inodes.size[inode]!;
    const inline = head + size <= BLOCK_SIZE;
    inodes.layout[inode] = inline ? LAYOUT_FLAT_INLINE : LAYOUT_FLAT_PLAIN;
    if (!inline) this.#blocky.push(inode);
    return inline ? size : 0;
  }

  placeBlocks(start: number): { blockOf: Map<number, number>; end: number } {
    const blockOf = new Map<number, number>();
    let at = start;
    for (const inode of this.#blocky) {
      blockOf.set(inode, at / BLOCK_SIZE);
      at += alignUp(this.#tree.inodes.size[inode]!, BLOCK_SIZE);
    }
    return { blockOf, end: at };
  }
}
