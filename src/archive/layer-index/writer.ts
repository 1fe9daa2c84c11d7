/** Writes a layer's index while the layer is unpacked. */
import { closeSync, fdatasyncSync, openSync, unlinkSync } from 'node:fs';
import { constants, zstdCompressSync } from 'node:zlib';
import { asTslayerError } from '../../errors.ts';
import { writeAll } from '../../sys/write-all.ts';
import type { TarEntry, Xattr } from '../entry.ts';
import { crc32 } from './checksum.ts';
import {
  align8,
  BLOCK_BYTES,
  BLOCK_RECORDS,
  type Columns,
  columnBytes,
  columnsOf,
  copyColumns,
  HEADER_WORDS,
  KINDS,
  MAGIC,
  STORED,
  STORED_BYTES,
} from './format.ts';

const HEADER = HEADER_WORDS * 4;
const KIND: Readonly<Record<string, number>> = Object.fromEntries(KINDS.map((kind, i) => [kind, i]));
const PACKING = {
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
};

/** Most layers are small: room for more records comes when it is needed. */
const FIRST_RECORDS = BLOCK_RECORDS / 32;

function newColumns(records: number): Columns {
  return columnsOf(new ArrayBuffer(columnBytes(records)), 0, records);
}

/** Takes the calls of a LayerSink. The file stays invalid until `finish`, and goes on `close` without it. */
export class IndexWriter {
  readonly #path: string;
  #fd: number | undefined;
  #finished = false;
  #entries = 0;
  #blocks = 0;

  #columns: Columns = newColumns(FIRST_RECORDS);
  #records = 0;
  #names = Buffer.alloc(FIRST_RECORDS * 32);
  #namesLength = 0;
  #last: Uint8Array = new Uint8Array(0);
  #dataEnd = 0;
  #crc = 0;
  #xattrs: Buffer[] = [];
  #xattrsLength = 0;
  readonly #xattrsAt: Map<string, number> = new Map();
  #segments: number[] = [];

  constructor(path: string) {
    this.#path = path;
    this.#fd = openSync(path, 'w', 0o600);
    writeAll(this.#fd, Buffer.from(MAGIC));
  }

  whiteout(path: Uint8Array): void {
    this.#start(KIND.whiteout!, path);
  }

  opaque(path: Uint8Array): void {
    this.#start(KIND.opaque!, path);
  }

  entry(entry: TarEntry): void {
    const row = this.#start(KIND[entry.segments === undefined ? entry.type : 'sparse']!, entry.path);
    const columns = this.#columns;
    const device = entry.type === 'char' || entry.type === 'block';
    columns.mode[row] = entry.mode;
    columns.uid[row] = entry.uid;
    columns.gid[row] = entry.gid;
    columns.mtime[row] = entry.mtime.seconds;
    columns.nanoseconds[row] = entry.mtime.nanoseconds;
    columns.size[row] = device ? entry.deviceMajor * 2 ** 32 + entry.deviceMinor : entry.size;
    columns.gap[row] = entry.dataOffset - this.#dataEnd;
    this.#dataEnd = entry.dataOffset + entry.storedSize;
    if (entry.linkname.length > 0) columns.link[row] = this.#addName(entry.linkname, 0);
    if (entry.xattrs.length > 0) columns.xattrs[row] = this.#addXattrs(entry.xattrs);
    if (entry.segments === undefined) return;
    this.#segments.push(entry.segments.length);
    for (const { offset, length } of entry.segments) this.#segments.push(offset, length);
  }

  data(chunk: Uint8Array): void {
    this.#crc = crc32(chunk, this.#crc);
  }

  /** Writes the end. @param durable waits until it is on disk */
  finish(durable: boolean = false): void {
    const fd = this.#fd!;
    try {
      this.#flush();
      const end = Buffer.alloc(12);
      end.writeUInt32LE(this.#blocks, 4);
      end.writeUInt32LE(this.#entries, 8);
      writeAll(fd, end);
      if (durable) fdatasyncSync(fd);
    } catch (error) {
      throw asTslayerError(error, 'cannot write the index of the layer');
    }
    this.#finished = true;
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
    if (!this.#finished) unlinkSync(this.#path);
  }

  /** A new record; its row. */
  #start(kind: number, path: Uint8Array): number {
    const full = this.#records === BLOCK_RECORDS || this.#namesLength > BLOCK_BYTES;
    if (full || this.#xattrsLength > BLOCK_BYTES || this.#segments.length > BLOCK_BYTES / 8) this.#flush();
    else this.#setCrc();
    if (this.#records === this.#columns.kind.length) this.#grow();
    const columns = this.#columns;
    const row = this.#records++;
    this.#entries++;
    const shared = sharedLength(this.#last, path);
    columns.kind[row] = kind;
    columns.shared[row] = shared;
    columns.suffix[row] = this.#addName(path, shared);
    this.#last = path;
    columns.mode[row] = columns.uid[row] = columns.gid[row] = columns.nanoseconds[row] = 0;
    columns.mtime[row] = columns.size[row] = columns.gap[row] = 0;
    columns.link[row] = columns.xattrs[row] = columns.crc[row] = 0;
    return row;
  }

  #grow(): void {
    const grown = newColumns(Math.min(this.#records * 4, BLOCK_RECORDS));
    copyColumns(this.#columns, grown, this.#records);
    this.#columns = grown;
  }

  /** The checksum of an entry is known when its data is over. */
  #setCrc(): void {
    if (this.#records > 0) this.#columns.crc[this.#records - 1] = this.#crc;
    this.#crc = 0;
  }

  #addName(source: Uint8Array, from: number): number {
    const length = source.length - from;
    const end = this.#namesLength + length;
    if (end > this.#names.length) {
      const grown = Buffer.alloc(end * 2);
      grown.set(this.#names.subarray(0, this.#namesLength));
      this.#names = grown;
    }
    const names = this.#names;
    for (let to = this.#namesLength, i = from; to < end; to++, i++) names[to] = source[i]!;
    this.#namesLength = end;
    return length;
  }

  /** Many files of a layer have the same attributes: each set is kept once a block. */
  #addXattrs(xattrs: readonly Xattr[]): number {
    const bytes = packXattrs(xattrs);
    const key = bytes.toString('latin1');
    const known = this.#xattrsAt.get(key);
    if (known !== undefined) return known;
    const at = this.#xattrsLength + 1;
    this.#xattrs.push(bytes);
    this.#xattrsLength += bytes.length;
    this.#xattrsAt.set(key, at);
    return at;
  }

  #flush(): void {
    this.#setCrc();
    if (this.#records === 0) return;
    const block = this.#block();
    writeAll(this.#fd!, block.length <= STORED_BYTES ? storedBlock(block) : packedBlock(block));
    this.#blocks++;
    this.#records = this.#namesLength = this.#xattrsLength = 0;
    this.#last = new Uint8Array(0);
    this.#xattrs = [];
    this.#xattrsAt.clear();
    this.#segments = [];
  }

  #block(): Uint8Array {
    const records = this.#records;
    const namesAt = HEADER + columnBytes(records);
    const segmentsAt = align8(namesAt + this.#namesLength + this.#xattrsLength);
    const bytes = new Uint8Array(segmentsAt + 8 * this.#segments.length);
    const to = columnsOf(bytes.buffer, HEADER, records);
    new Uint32Array(bytes.buffer, 0, HEADER_WORDS).set([
      records,
      this.#namesLength,
      this.#xattrsLength,
      this.#segments.length,
    ]);
    copyColumns(this.#columns, to, records);
    bytes.set(this.#names.subarray(0, this.#namesLength), namesAt);
    bytes.set(Buffer.concat(this.#xattrs), namesAt + this.#namesLength);
    new Float64Array(bytes.buffer, segmentsAt).set(this.#segments);
    return bytes;
  }
}

function packedBlock(block: Uint8Array): Uint8Array {
  const frame = zstdCompressSync(block, PACKING);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(frame.length);
  return Buffer.concat([length, frame]);
}

function storedBlock(block: Uint8Array): Uint8Array {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(STORED + block.length);
  head.writeUInt32LE(crc32(block, 0), 4);
  return Buffer.concat([head, block]);
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const limit = Math.min(a.length, b.length);
  let i = 0;
  while (i < limit && a[i] === b[i]) i++;
  return i;
}

function packXattrs(xattrs: readonly Xattr[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(Uint16Array.of(xattrs.length).buffer)];
  for (const { name, value } of xattrs) {
    const lengths = Buffer.alloc(6);
    lengths.writeUInt16LE(name.length, 0);
    lengths.writeUInt32LE(value.length, 2);
    parts.push(lengths, name, value);
  }
  return Buffer.concat(parts);
}
