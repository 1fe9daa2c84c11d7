/**
 * Where the files of a merged image have their data: in the layers' own images, which are its devices. A file that a
 * layer stores in one piece is one index, a sparse one as many as it has addresses in its layer.
 *
 * `struct erofs_inode_chunk_index`: u16 unused, u16 device, u32 block. Source: Linux, fs/erofs/erofs_fs.h.
 */
import type { Inode } from '../format/inode.ts';
import { BLOCK_SIZE, CHUNK_INDEX_SIZE, CHUNK_INDEXES, CHUNK_MAX_BITS, NULL_BLOCK } from '../format/layout.ts';
import type { ImageReader } from '../read/image-reader.ts';
import { type InodeTable, widened } from '../tree/tables.ts';
import type { ChunkMaps } from '../write/chunk-maps.ts';

/** Bytes of the largest chunk, 1 TiB: one index for nearly every file. */
const WHOLE = BLOCK_SIZE * 2 ** CHUNK_MAX_BITS;

/** Indexes made at a time. */
const PIECE = 1 << 13;

interface SparseSource {
  readonly image: ImageReader;
  readonly inode: Inode;
}

export class DeviceMaps implements ChunkMaps {
  readonly unit: number = CHUNK_INDEX_SIZE;
  readonly #inodes: InodeTable;
  /** By inode row: number of the device, from 1 on. */
  #device: Uint16Array<ArrayBuffer> = new Uint16Array(1024);
  readonly #sparse: Map<number, SparseSource> = new Map();
  readonly #single: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(CHUNK_INDEX_SIZE));

  constructor(inodes: InodeTable) {
    this.#inodes = inodes;
  }

  /** A file in one piece: its block is the inode's place. */
  addWhole(row: number, device: number): void {
    while (row >= this.#device.length) this.#device = widened(this.#device, this.#device.length * 2);
    this.#device[row] = device;
  }

  addSparse(row: number, device: number, source: SparseSource): void {
    this.addWhole(row, device);
    this.#sparse.set(row, source);
  }

  format(row: number): number {
    return CHUNK_INDEXES | (this.#sparse.get(row)?.inode.place ?? CHUNK_MAX_BITS);
  }

  bytes(row: number): number {
    const chunk = BLOCK_SIZE * 2 ** (this.format(row) & ~CHUNK_INDEXES);
    return Math.ceil(this.#inodes.size[row]! / chunk) * CHUNK_INDEX_SIZE;
  }

  pieces(row: number): Iterable<Uint8Array> {
    const source = this.#sparse.get(row);
    return source === undefined ? [this.#wholeIndexes(row)] : sparseIndexes(source, this.#device[row]!);
  }

  /** Of nearly every file: one index, which is not worth memory of its own. */
  #wholeIndexes(row: number): Uint8Array {
    const chunks = Math.ceil(this.#inodes.size[row]! / WHOLE);
    const view = chunks === 1 ? this.#single : new DataView(new ArrayBuffer(chunks * CHUNK_INDEX_SIZE));
    for (let chunk = 0; chunk < chunks; chunk++) {
      const block = this.#inodes.place[row]! + chunk * 2 ** CHUNK_MAX_BITS;
      writeIndex(view, chunk * CHUNK_INDEX_SIZE, this.#device[row]!, block);
    }
    return new Uint8Array(view.buffer);
  }
}

function* sparseIndexes({ image, inode }: SparseSource, device: number): Generator<Uint8Array, void> {
  for (const addresses of image.chunkAddresses(inode, PIECE)) {
    const view = new DataView(new ArrayBuffer(addresses.length * CHUNK_INDEX_SIZE));
    for (const [chunk, block] of addresses.entries()) {
      writeIndex(view, chunk * CHUNK_INDEX_SIZE, block === NULL_BLOCK ? 0 : device, block);
    }
    yield new Uint8Array(view.buffer);
  }
}

function writeIndex(view: DataView, at: number, device: number, block: number): void {
  view.setUint16(at + 2, device, true);
  view.setUint32(at + 4, block, true);
}
