/** Reads a layer's index back, block by block. */
import { closeSync, openSync, readSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { asTslayerError, TslayerError } from '../../errors.ts';
import type { EntryType, Segment, TarEntry, Xattr } from '../entry.ts';
import type { LayerSink } from '../sink.ts';
import { crc32 } from './checksum.ts';
import {
  align8,
  type Columns,
  columnBytes,
  columnsOf,
  HEADER_WORDS,
  KINDS,
  MAGIC,
  MAX_BLOCK,
  STORED,
  STORED_BYTES,
} from './format.ts';

const HEADER = HEADER_WORDS * 4;

/** One record, in the tar's order. `crc32` is that of the stored data. */
export type IndexRecord =
  | { readonly kind: 'entry'; readonly entry: TarEntry; readonly crc32: number }
  | { readonly kind: 'whiteout' | 'opaque'; readonly path: Uint8Array };

/** What a layer holds. Iterating it reads the file anew; nothing is kept of it between. */
export interface LayerIndex extends Iterable<IndexRecord> {
  /** Makes the calls that the layer's sink got. */
  replay(visitor: Pick<LayerSink, 'whiteout' | 'opaque' | 'entry'>): void;
}

/** The index of a layer. Throws when it is read: NOT_FOUND, or MALFORMED when it is damaged or unfinished. */
export function readLayerIndex(path: string): LayerIndex {
  return {
    [Symbol.iterator]: () => readRecords(path),
    replay(visitor) {
      for (const record of readRecords(path)) {
        if (record.kind === 'entry') visitor.entry(record.entry);
        else if (record.kind === 'opaque') visitor.opaque(record.path);
        else visitor.whiteout(record.path);
      }
    },
  };
}

function* readRecords(path: string): Generator<IndexRecord, void> {
  let dataEnd = 0;
  for (const block of readBlocks(path)) {
    const records = new BlockReader(block, dataEnd);
    for (let row = 0; row < records.count; row++) yield records.at(row);
    dataEnd = records.dataEnd;
  }
}

function* readBlocks(path: string): Generator<Uint8Array, void> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw asTslayerError(error, 'cannot open the index of the layer');
  }
  try {
    if (readExactly(fd, MAGIC.length, path).toString('latin1') !== MAGIC) throw damaged(path);
    let blocks = 0;
    let entries = 0;
    for (;;) {
      const length = readExactly(fd, 4, path).readUInt32LE();
      if (length === 0) break;
      const block = length >= STORED ? readStored(fd, length - STORED, path) : readPacked(fd, length, path);
      if (block.length < HEADER) throw damaged(path);
      blocks++;
      entries += new DataView(block.buffer, block.byteOffset).getUint32(0, true);
      yield block;
    }
    const end = readExactly(fd, 8, path);
    if (end.readUInt32LE(0) !== blocks || end.readUInt32LE(4) !== entries) throw damaged(path);
  } finally {
    closeSync(fd);
  }
}

function readStored(fd: number, length: number, path: string): Uint8Array {
  if (length > STORED_BYTES) throw damaged(path);
  const crc = readExactly(fd, 4, path).readUInt32LE();
  const block = new Uint8Array(readExactly(fd, length, path));
  if (crc32(block, 0) !== crc) throw damaged(path);
  return block;
}

function readPacked(fd: number, length: number, path: string): Uint8Array {
  if (length > MAX_BLOCK) throw damaged(path);
  const frame = readExactly(fd, length, path);
  try {
    // Into a buffer of its own, so that columns are aligned.
    return new Uint8Array(zstdDecompressSync(frame, { maxOutputLength: MAX_BLOCK }));
  } catch (error) {
    throw damaged(path, error);
  }
}

function readExactly(fd: number, length: number, path: string): Buffer {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at < length; ) {
    const got = readSync(fd, buffer, at, length - at, null);
    if (got === 0) throw damaged(path);
    at += got;
  }
  return buffer;
}

function damaged(path: string, cause?: unknown): TslayerError {
  return new TslayerError('MALFORMED', `the layer index ${path} is damaged`, { cause });
}

class BlockReader {
  readonly count: number;
  dataEnd: number;
  readonly #columns: Columns;
  readonly #names: Buffer;
  readonly #xattrs: Buffer;
  readonly #segments: Float64Array;
  readonly #known: Map<number, readonly Xattr[]> = new Map();
  #nameAt = 0;
  #segmentAt = 0;
  #last: Uint8Array = new Uint8Array(0);

  constructor(block: Uint8Array, dataEnd: number) {
    const buffer = block.buffer as ArrayBuffer;
    const [records, names, xattrs, segments] = new Uint32Array(buffer, 0, HEADER_WORDS) as unknown as number[];
    this.count = records!;
    this.dataEnd = dataEnd;
    const namesAt = HEADER + columnBytes(this.count);
    this.#columns = columnsOf(buffer, HEADER, this.count);
    this.#names = Buffer.from(buffer, namesAt, names!);
    this.#xattrs = Buffer.from(buffer, namesAt + names!, xattrs!);
    this.#segments = new Float64Array(buffer, align8(namesAt + names! + xattrs!), segments!);
  }

  at(row: number): IndexRecord {
    const columns = this.#columns;
    const path = this.#path(columns.shared[row]!, columns.suffix[row]!);
    const kind = KINDS[columns.kind[row]!]!;
    if (kind === 'whiteout' || kind === 'opaque') return { kind, path };
    const type: EntryType = kind === 'sparse' ? 'file' : kind;
    const device = type === 'char' || type === 'block';
    const size = columns.size[row]!;
    const linkname = this.#take(columns.link[row]!);
    const segments = kind === 'sparse' ? this.#takeSegments() : undefined;
    const storedSize = segments === undefined ? size : segments.reduce((sum, { length }) => sum + length, 0);
    const dataOffset = this.dataEnd + columns.gap[row]!;
    this.dataEnd = dataOffset + (type === 'file' ? storedSize : 0);
    const entry: TarEntry = {
      type,
      path,
      mode: columns.mode[row]!,
      uid: columns.uid[row]!,
      gid: columns.gid[row]!,
      mtime: { seconds: columns.mtime[row]!, nanoseconds: columns.nanoseconds[row]! },
      size: device ? 0 : size,
      linkname,
      deviceMajor: device ? Math.floor(size / 2 ** 32) : 0,
      deviceMinor: device ? size % 2 ** 32 : 0,
      xattrs: this.#xattrsAt(columns.xattrs[row]!),
      dataOffset,
      storedSize: type === 'file' ? storedSize : 0,
      ...(segments === undefined ? {} : { segments }),
    };
    return { kind: 'entry', entry, crc32: columns.crc[row]! };
  }

  #path(shared: number, suffix: number): Uint8Array {
    const path = new Uint8Array(shared + suffix);
    path.set(this.#last.subarray(0, shared));
    path.set(this.#names.subarray(this.#nameAt, this.#nameAt + suffix), shared);
    this.#nameAt += suffix;
    this.#last = path;
    return path;
  }

  #take(length: number): Uint8Array {
    const bytes = this.#names.subarray(this.#nameAt, this.#nameAt + length);
    this.#nameAt += length;
    return bytes;
  }

  #takeSegments(): Segment[] {
    const numbers = this.#segments;
    const count = numbers[this.#segmentAt++] ?? 0;
    return Array.from({ length: count }, () => ({
      offset: numbers[this.#segmentAt++]!,
      length: numbers[this.#segmentAt++]!,
    }));
  }

  #xattrsAt(at: number): readonly Xattr[] {
    if (at === 0) return NONE;
    let xattrs = this.#known.get(at);
    if (xattrs === undefined) {
      xattrs = unpackXattrs(this.#xattrs, at - 1);
      this.#known.set(at, xattrs);
    }
    return xattrs;
  }
}

const NONE: readonly Xattr[] = [];

function unpackXattrs(bytes: Buffer, at: number): Xattr[] {
  const count = bytes.readUInt16LE(at);
  at += 2;
  return Array.from({ length: count }, () => {
    const [nameLength, valueLength] = [bytes.readUInt16LE(at), bytes.readUInt32LE(at + 2)];
    const name = bytes.subarray(at + 6, at + 6 + nameLength);
    at += 6 + nameLength + valueLength;
    return { name, value: bytes.subarray(at - valueLength, at) };
  });
}
