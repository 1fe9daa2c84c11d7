/** What follows the inode of a file whose data is found by chunks: an image's writer knows no more of data than this. */
import { CHUNK_ADDRESS_SIZE, LAYOUT_CHUNK_BASED } from '../format/layout.ts';
import type { TreeTables } from '../tree/tables.ts';
import { type ChunkPlan, fillAddresses, mapBytes } from './chunk-plan.ts';

export interface ChunkMaps {
  /** Bytes of one entry, to which a map is aligned: those of 8 do not always begin right behind xattrs. */
  readonly unit: number;
  /** The chunk format, which the inode has in place of a block. */
  format(inode: number): number;
  /** Bytes of the map. */
  bytes(inode: number): number;
  /** The map, in pieces of whole entries. */
  pieces(inode: number): Iterable<Uint8Array>;
}

/** Entries of a map made at a time. */
const PIECE = 1 << 14;

/** Sparse files of one layer: addresses of blocks in the image itself. */
export class SparseMaps implements ChunkMaps {
  readonly unit: number = CHUNK_ADDRESS_SIZE;
  readonly #tree: TreeTables;
  /** By row of the tree's sparse table. */
  readonly #plans: readonly ChunkPlan[];

  constructor(tree: TreeTables, plans: readonly ChunkPlan[]) {
    this.#tree = tree;
    this.#plans = plans;
  }

  format(inode: number): number {
    return this.#of(inode).bits;
  }

  bytes(inode: number): number {
    return mapBytes(this.#of(inode));
  }

  *pieces(inode: number): Generator<Uint8Array, void> {
    const plan = this.#of(inode);
    for (let from = 0; from < plan.chunks; from += PIECE) {
      const piece = new Uint32Array(Math.min(PIECE, plan.chunks - from));
      fillAddresses(plan, from, piece);
      yield littleEndian(piece);
    }
  }

  #of(inode: number): ChunkPlan {
    return this.#plans[this.#tree.inodes.place[inode]!]!;
  }
}

export function isChunked({ inodes }: TreeTables, inode: number): boolean {
  return inodes.layout[inode] === LAYOUT_CHUNK_BASED;
}

/** All machines that Node runs on are little-endian but s390x. */
function littleEndian(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  if (new Uint8Array(Uint32Array.of(1).buffer)[0] !== 1) Buffer.from(bytes.buffer).swap32();
  return bytes;
}
