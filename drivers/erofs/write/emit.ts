/** Writes a planned image's metadata from front to back: inodes with what follows them, then whole blocks. */
import { constants } from 'node:fs';
import { DirentList } from '../format/dirents.ts';
import { writeInode } from '../format/inode.ts';
import { alignUp, BLOCK_SIZE, INODE_SIZE, LAYOUT_FLAT_INLINE, SLOT_SIZE, XATTR_HEADER_SIZE } from '../format/layout.ts';
import type { TreeTables } from '../tree/tables.ts';
import { type ChunkMaps, isChunked } from './chunk-maps.ts';
import { listDirectory } from './list-directory.ts';
import { PieceWriter } from './piece-writer.ts';
import type { ImagePlan } from './plan.ts';

const { S_IFDIR, S_IFLNK, S_IFMT } = constants;

/** The area ends at a multiple of this. */
const END = 4096;

export interface Emission {
  readonly tree: TreeTables;
  /** As it was planned with. */
  readonly order: Iterable<number>;
  readonly maps: ChunkMaps;
  readonly plan: ImagePlan;
  /** What stands in the reserved bytes at the area's start. */
  readonly lead?: Uint8Array;
}

/** The sha256 of the area. */
export function emitMetadata(fd: number, emission: Emission): Uint8Array {
  const { tree, order, plan, lead } = emission;
  const out = new PieceWriter(fd, plan.metaStart, alignUp(plan.end, END) - plan.metaStart);
  if (lead) out.put(lead);
  const emitter = new Emitter(out, emission);
  emitter.inode(tree.directories.inode[0]!);
  for (const row of order) {
    for (let dentry = tree.directories.first[row]!; dentry !== 0; dentry = tree.dentries.sibling[dentry]!) {
      emitter.inode(tree.dentries.inode[dentry]!);
    }
  }
  return emitter.blocks();
}

class Emitter {
  readonly #out: PieceWriter;
  readonly #tree: TreeTables;
  readonly #maps: ChunkMaps;
  readonly #plan: ImagePlan;
  readonly #list: DirentList = new DirentList();

  constructor(out: PieceWriter, { tree, maps, plan }: Emission) {
    this.#out = out;
    this.#tree = tree;
    this.#maps = maps;
    this.#plan = plan;
  }

  inode(inode: number): void {
    const { inodes, arena } = this.#tree;
    const position = this.#plan.metaStart + inodes.nid[inode]! * SLOT_SIZE;
    // Positions ascend in the order of first names: what lies behind has been written under another name.
    if (position < this.#out.position) return;
    this.#out.skipTo(position);
    const xattrs = arena.recordLength(inodes.xattrs[inode]!);
    const at = this.#out.reserve(INODE_SIZE);
    writeInode(this.#out.view, at, {
      layout: inodes.layout[inode]!,
      mode: inodes.mode[inode]!,
      uid: inodes.uid[inode]!,
      gid: inodes.gid[inode]!,
      size: inodes.size[inode]!,
      place: this.#place(inode),
      nid: inodes.nid[inode]!,
      links: inodes.links[inode]!,
      seconds: inodes.seconds[inode]!,
      nanoseconds: inodes.nanoseconds[inode]!,
      xattrBytes: xattrs === 0 ? 0 : XATTR_HEADER_SIZE + xattrs,
    });
    if (xattrs > 0) {
      this.#out.reserve(XATTR_HEADER_SIZE);
      this.#out.put(arena.record(inodes.xattrs[inode]!));
    }
    this.#tail(inode);
  }

  /** The inode's i_u: first block, device number or chunk format. */
  #place(inode: number): number {
    const { inodes } = this.#tree;
    const type = inodes.mode[inode]! & S_IFMT;
    if (isChunked(this.#tree, inode)) return this.#maps.format(inode);
    if (type === S_IFDIR || type === S_IFLNK) return this.#plan.blockOf.get(inode) ?? 0;
    return inodes.place[inode]!;
  }

  #tail(inode: number): void {
    const { inodes, arena } = this.#tree;
    if (isChunked(this.#tree, inode)) this.#map(inode);
    if (inodes.layout[inode] !== LAYOUT_FLAT_INLINE) return;
    if ((inodes.mode[inode]! & S_IFMT) === S_IFLNK) {
      this.#out.put(arena.view(inodes.place[inode]!, inodes.size[inode]!));
    } else {
      listDirectory(this.#tree, inodes.place[inode]!, this.#list);
      this.#dirents(0, this.#list.count, inodes.size[inode]!);
    }
  }

  #map(inode: number): void {
    this.#out.skipTo(alignUp(this.#out.position, this.#maps.unit));
    for (const piece of this.#maps.pieces(inode)) this.#out.put(piece);
  }

  #dirents(from: number, to: number, length: number): void {
    const at = this.#out.reserve(length);
    this.#list.write(from, to, this.#out.bytes, this.#out.view, at, this.#tree.arena.bytes);
  }

  /** Directories and link targets that have blocks of their own, and the end. */
  blocks(): Uint8Array {
    const { inodes, arena } = this.#tree;
    this.#out.skipTo(this.#plan.blocksStart);
    for (const [inode, block] of this.#plan.blockOf) {
      this.#out.skipTo(block * BLOCK_SIZE);
      if ((inodes.mode[inode]! & S_IFMT) === S_IFLNK) {
        this.#out.put(arena.view(inodes.place[inode]!, inodes.size[inode]!));
      } else {
        this.#directory(inodes.place[inode]!);
      }
    }
    return this.#out.end(END);
  }

  #directory(row: number): void {
    listDirectory(this.#tree, row, this.#list);
    for (let from = 0; from < this.#list.count; ) {
      const to = this.#list.blockEnd(from);
      this.#dirents(from, to, BLOCK_SIZE);
      from = to;
    }
  }
}
