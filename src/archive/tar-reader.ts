/**
 * Reads a layer's tar as it streams by and drives a LayerSink with it. Synchronous: bytes are pushed in, calls come
 * out, nothing waits and nothing is held back. Headers that lie whole in a chunk are read where they lie, data is
 * passed on as views of the chunk.
 *
 * Every byte is the attacker's. What is ambiguous is read as Go's archive/tar does, since the images there are were
 * made and checked by it; what is dangerous is refused.
 */
import { TslayerError } from '../errors.ts';
import type { TarEntry } from './entry.ts';
import { DEFAULT_LIMITS, type LayerLimits, type LayerSink } from './sink.ts';
import { Slab } from './tar/bytes.ts';
import { Extensions, isExtension } from './tar/extensions.ts';
import { BLOCK, CHECKSUM, checksumOf, isZeroBlock, SIZE, signedChecksumOf, TYPE_AT } from './tar/header.ts';
import { type Draft, MemberReader, OLD_SPARSE, readSize } from './tar/member.ts';
import { readNumber } from './tar/numbers.ts';
import { MapReader, OLD_GNU, OLD_GNU_EXTENSION, readOldGnuPairs, SparseMap } from './tar/sparse.ts';
import { classifyWhiteout } from './tar/whiteouts.ts';

// What the next bytes are.
const HEADER = 0;
const EXTENSION = 1; // the payload of a PAX or GNU long-name header
const OLD_SPARSE_MAP = 2; // blocks that continue an old GNU map
const PAX_SPARSE_MAP = 3; // blocks of a PAX 1.0 map, in front of the data
const DATA = 4;
const SKIP = 5; // padding, or data that belongs to nothing
const LONE_ZERO = 6; // one zero block was read: a second one must follow
const END = 7; // what lies behind the end counts for the diffID, and for nothing else

const VOLUME_LABEL = 0x56;

export class TarReader {
  readonly #sink: LayerSink;
  readonly #limits: LayerLimits;
  readonly #slab = new Slab();
  readonly #extensions: Extensions;
  readonly #member: MemberReader;

  #state = HEADER;
  /** Bytes of the current state still to come, and the padding behind them. */
  #left = 0;
  #padding = 0;
  /** Bytes written in before the current chunk. */
  #base = 0;
  #entries = 0;

  /** A block that chunks cut in two. */
  readonly #carry: Uint8Array = new Uint8Array(BLOCK);
  readonly #carryView: DataView = new DataView(this.#carry.buffer);
  #carried = 0;
  #view: DataView = this.#carryView;

  /** An entry whose sparse map is being read. */
  #draft: Draft | undefined;
  #oldMap: SparseMap | undefined;
  #paxMap: MapReader | undefined;

  constructor(sink: LayerSink, limits: LayerLimits = DEFAULT_LIMITS) {
    this.#sink = sink;
    this.#limits = limits;
    this.#extensions = new Extensions(limits.headerBytes, this.#slab);
    this.#member = new MemberReader(limits, this.#slab);
  }

  /** Bytes read so far. */
  get size(): number {
    return this.#base;
  }

  /** Members read so far, whiteouts included. */
  get entries(): number {
    return this.#entries;
  }

  /** Reads a chunk; it may be reused afterwards. After an error the reader is of no further use. */
  write(chunk: Uint8Array): void {
    if (this.#base + chunk.length > this.#limits.bytes) throw this.#tooLarge();
    if (this.#view.buffer !== chunk.buffer) this.#view = new DataView(chunk.buffer);
    for (let at = 0; at < chunk.length && this.#state !== END; ) {
      if (this.#state === DATA) at = this.#passData(chunk, at);
      else if (this.#state === SKIP) at = this.#skip(chunk, at);
      else if (this.#state === EXTENSION) at = this.#passExtension(chunk, at);
      else at = this.#nextBlock(chunk, at);
    }
    this.#base += chunk.length;
  }

  /**
   * The tar ends here. A missing end marker is forgiven, as everywhere (the diffID decides what is whole); an end
   * in the middle of anything is not.
   */
  end(): void {
    const between = (this.#state === HEADER || this.#state === LONE_ZERO) && this.#carried === 0;
    if (this.#state === END || (between && !this.#extensions.pending)) return;
    throw new TslayerError('MALFORMED', `tar: cut short after ${this.#base} bytes`);
  }

  #passData(chunk: Uint8Array, at: number): number {
    const take = Math.min(this.#left, chunk.length - at);
    this.#sink.data?.(take === chunk.length ? chunk : chunk.subarray(at, at + take));
    this.#left -= take;
    if (this.#left === 0) this.#startSkip(this.#padding);
    return at + take;
  }

  #skip(chunk: Uint8Array, at: number): number {
    const take = Math.min(this.#left, chunk.length - at);
    this.#startSkip(this.#left - take);
    return at + take;
  }

  #startSkip(length: number): void {
    this.#left = length;
    this.#state = length === 0 ? HEADER : SKIP;
  }

  #passExtension(chunk: Uint8Array, at: number): number {
    const take = Math.min(this.#left, chunk.length - at);
    this.#left -= take;
    this.#extensions.feed(chunk.subarray(at, at + take), this.#left);
    if (this.#left === 0) this.#startSkip(this.#padding);
    return at + take;
  }

  /** States that work on whole blocks: in place where the chunk holds one, else through the carry. */
  #nextBlock(chunk: Uint8Array, at: number): number {
    if (this.#carried === 0 && chunk.length - at >= BLOCK) {
      this.#block(chunk, at, this.#view, chunk.byteOffset + at, this.#base + at + BLOCK);
      return at + BLOCK;
    }
    const take = Math.min(BLOCK - this.#carried, chunk.length - at);
    this.#carry.set(chunk.subarray(at, at + take), this.#carried);
    this.#carried += take;
    if (this.#carried === BLOCK) {
      this.#carried = 0;
      this.#block(this.#carry, 0, this.#carryView, 0, this.#base + at + take);
    }
    return at + take;
  }

  /** @param next offset in the tar of what follows the block */
  #block(bytes: Uint8Array, at: number, view: DataView, viewAt: number, next: number): void {
    if (this.#state === OLD_SPARSE_MAP) this.#oldSparseBlock(bytes, at, next);
    else if (this.#state === PAX_SPARSE_MAP) this.#paxSparseBlock(bytes, at, next);
    else if (bytes[at] === 0 && isZeroBlock(view, viewAt)) this.#zeroBlock();
    else if (this.#state === LONE_ZERO) throw new TslayerError('MALFORMED', 'tar: a lone zero block');
    else this.#header(bytes, at, view, viewAt, next);
  }

  #zeroBlock(): void {
    if (this.#extensions.pending) throw new TslayerError('MALFORMED', 'tar: an extended header without an entry');
    this.#state = this.#state === LONE_ZERO ? END : LONE_ZERO;
  }

  #header(bytes: Uint8Array, at: number, view: DataView, viewAt: number, next: number): void {
    const sum = readNumber(bytes, at + CHECKSUM.at, CHECKSUM.length);
    if (sum !== checksumOf(view, viewAt) && sum !== signedChecksumOf(view, viewAt)) {
      throw new TslayerError('MALFORMED', `tar: wrong checksum of the header at ${next - BLOCK}`);
    }
    const typeflag = bytes[at + TYPE_AT]!;
    if (isExtension(typeflag)) this.#startExtension(typeflag, readSize(bytes, at));
    else if (typeflag === VOLUME_LABEL) this.#startSkip(padded(readSize(bytes, at)));
    else this.#startMember(bytes, at, next);
  }

  #startExtension(typeflag: number, size: number): void {
    this.#extensions.begin(typeflag, size);
    this.#left = size;
    this.#padding = padded(size) - size;
    this.#state = size === 0 ? HEADER : EXTENSION;
  }

  #startMember(bytes: Uint8Array, at: number, next: number): void {
    if (++this.#entries > this.#limits.entries) {
      throw new TslayerError('LIMIT_EXCEEDED', `layer: more than ${this.#limits.entries} entries`);
    }
    const member = this.#member;
    member.start(bytes, at, this.#extensions);
    this.#left = member.dataSize;
    this.#padding = padded(member.dataSize) - member.dataSize;
    if (member.path.whiteoutAt !== -1) {
      this.#whiteout();
      return;
    }
    const entry = member.finish(bytes, at, this.#extensions, next);
    if (entry.type === 'file') this.#file(entry, bytes, at);
    else {
      this.#sink.entry(entry);
      this.#extensions.forget();
      this.#startSkip(this.#left + this.#padding);
    }
  }

  #whiteout(): void {
    const { path } = this.#member;
    const { kind, length } = classifyWhiteout(path);
    if (kind === 'opaque') this.#sink.opaque(this.#slab.copy(path.bytes, 0, length));
    else if (kind === 'hides') this.#sink.whiteout(this.#slab.copy(path.bytes, 0, length));
    this.#extensions.forget();
    this.#startSkip(this.#left + this.#padding);
  }

  #file(entry: Draft, bytes: Uint8Array, at: number): void {
    const { sparse } = this.#extensions.records;
    if (this.#member.typeflag === OLD_SPARSE) {
      entry.size = readNumber(bytes, at + OLD_GNU.realSizeAt, SIZE.length);
      const map = new SparseMap();
      readOldGnuPairs(bytes, at + OLD_GNU.mapAt, OLD_GNU.mapPairs, map);
      this.#oldMap = map;
      this.#draft = entry;
      this.#state = OLD_SPARSE_MAP;
      if (bytes[at + OLD_GNU.extendedAt] === 0) this.#announceSparse(entry, map);
    } else if (sparse?.realSize !== undefined) {
      entry.size = sparse.realSize;
      this.#paxMap = new MapReader();
      this.#draft = entry;
      this.#state = PAX_SPARSE_MAP;
      if (sparse.major !== 1) this.#announceSparse(entry, sparse.map ?? new SparseMap());
    } else this.#announce(entry);
  }

  #oldSparseBlock(bytes: Uint8Array, at: number, next: number): void {
    const [draft, map] = [this.#draft!, this.#oldMap!];
    this.#extensions.spend(BLOCK);
    draft.dataOffset = next;
    readOldGnuPairs(bytes, at + OLD_GNU_EXTENSION.mapAt, OLD_GNU_EXTENSION.mapPairs, map);
    if (bytes[at + OLD_GNU_EXTENSION.extendedAt] === 0) this.#announceSparse(draft, map);
  }

  #paxSparseBlock(bytes: Uint8Array, at: number, next: number): void {
    const [draft, reader] = [this.#draft!, this.#paxMap!];
    this.#extensions.spend(BLOCK);
    if (this.#left < BLOCK) throw new TslayerError('MALFORMED', 'tar: a sparse map beyond its file');
    this.#left -= BLOCK;
    draft.storedSize = this.#left;
    draft.dataOffset = next;
    if (reader.feed(bytes, at, BLOCK)) this.#announceSparse(draft, reader.map);
  }

  #announceSparse(entry: Draft, map: SparseMap): void {
    entry.segments = map.segments(entry.size, entry.storedSize);
    this.#draft = this.#oldMap = this.#paxMap = undefined;
    this.#announce(entry);
  }

  #announce(entry: TarEntry): void {
    if (entry.size > this.#limits.bytes) throw this.#tooLarge();
    this.#sink.entry(entry);
    this.#extensions.forget();
    if (this.#left > 0) this.#state = DATA;
    else this.#startSkip(this.#padding);
  }

  #tooLarge(): TslayerError {
    return new TslayerError('LIMIT_EXCEEDED', `layer: more than ${this.#limits.bytes} bytes uncompressed`);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
