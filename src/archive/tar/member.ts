/** Turns a header block, and the records in force for it, into a TarEntry. */
import { TslayerError } from '../../errors.ts';
import type { EntryType, TarEntry } from '../entry.ts';
import type { LayerLimits } from '../sink.ts';
import { EMPTY, quote, type Slab } from './bytes.ts';
import type { Extensions } from './extensions.ts';
import * as header from './header.ts';
import { checkId, readNumber } from './numbers.ts';
import { PathCleaner } from './paths.ts';
import { toXattrs } from './xattrs.ts';

const TYPES: Readonly<Record<number, EntryType>> = {
  0: 'file',
  48: 'file',
  49: 'hardlink',
  50: 'symlink',
  51: 'char',
  52: 'block',
  53: 'directory',
  54: 'fifo',
  55: 'file', // contiguous
  68: 'directory', // GNU dump directory: its data is a list of names
  83: 'file', // old GNU sparse
};
const OLD_FILE = 0x00;
const DUMP_DIRECTORY = 0x44;
export const OLD_SPARSE = 0x53;

const NO_XATTRS: TarEntry['xattrs'] = [];

/** A TarEntry in the making. */
export type Draft = { -readonly [K in keyof TarEntry]: TarEntry[K] };

export class MemberReader {
  readonly #limits: LayerLimits;
  readonly #slab: Slab;
  readonly #link: PathCleaner;
  /** The path of the member at hand. */
  readonly path: PathCleaner;
  type: EntryType = 'file';
  typeflag = 0;
  /** Bytes of data behind the header, for whatever they are. */
  dataSize = 0;

  constructor(limits: LayerLimits, slab: Slab) {
    this.#limits = limits;
    this.#slab = slab;
    this.path = new PathCleaner(limits.pathBytes);
    this.#link = new PathCleaner(limits.pathBytes);
  }

  /** Reads what decides how to go on: path, type and size. */
  start(bytes: Uint8Array, at: number, extensions: Extensions): void {
    const typeflag = bytes[at + header.TYPE_AT]!;
    const slashed = this.#readPath(bytes, at, extensions);
    const type = TYPES[typeflag];
    if (type === undefined) throw this.#unknownType(typeflag);
    this.typeflag = typeflag;
    this.type = type;
    // Only these two have data: a link or a directory with a size is a header that says too much (Go's isHeaderOnly).
    const hasData = type === 'file' || typeflag === DUMP_DIRECTORY;
    this.dataSize = hasData ? (extensions.records.size ?? readSize(bytes, at)) : 0;
    // Before there was a type for them, a slash at the end made a directory.
    if (slashed && type === 'file' && typeflag !== OLD_SPARSE) {
      this.type = 'directory';
      if (typeflag === OLD_FILE) this.dataSize = 0;
    }
  }

  /** @param dataOffset offset in the tar of what follows the header */
  finish(bytes: Uint8Array, at: number, extensions: Extensions, dataOffset: number): Draft {
    const { type } = this;
    const { records } = extensions;
    const size = type === 'file' ? this.dataSize : 0;
    const device = type === 'char' || type === 'block';
    const entry: Draft = {
      type,
      path: this.path.take(this.#slab),
      mode: readNumber(bytes, at + header.MODE.at, header.MODE.length) & 0o7777,
      uid: records.uid ?? checkId(readNumber(bytes, at + header.UID.at, header.UID.length), 'uid'),
      gid: records.gid ?? checkId(readNumber(bytes, at + header.GID.at, header.GID.length), 'gid'),
      mtime: records.mtime ?? {
        seconds: readNumber(bytes, at + header.MTIME.at, header.MTIME.length),
        nanoseconds: 0,
      },
      size,
      linkname: type === 'symlink' || type === 'hardlink' ? this.#readLink(bytes, at, extensions) : EMPTY,
      deviceMajor: device ? readDevice(bytes, at + header.DEVICE_MAJOR.at, 12) : 0,
      deviceMinor: device ? readDevice(bytes, at + header.DEVICE_MINOR.at, 20) : 0,
      xattrs: records.xattrs === undefined ? NO_XATTRS : toXattrs(records.xattrs),
      dataOffset,
      storedSize: size,
    };
    if (records.atime !== undefined) entry.atime = records.atime;
    checkEntry(entry);
    return entry;
  }

  /** Leaves the path in `path`; true when it was spelt with a slash at the end. */
  #readPath(bytes: Uint8Array, at: number, { records, longName }: Extensions): boolean {
    const { path } = this;
    path.reset();
    const long = records.sparse?.name ?? records.path ?? longName;
    if (long !== undefined) return path.append(long, 0, long.length);
    const prefixAt = at + header.PREFIX.at;
    const prefix = header.prefixLength(header.dialectOf(bytes, at));
    if (prefix > 0 && bytes[prefixAt] !== 0) path.append(bytes, prefixAt, header.fieldEnd(bytes, prefixAt, prefix));
    const nameAt = at + header.NAME.at;
    return path.append(bytes, nameAt, header.fieldEnd(bytes, nameAt, header.NAME.length));
  }

  #readLink(bytes: Uint8Array, at: number, { records, longLink }: Extensions): Uint8Array {
    const linkAt = at + header.LINKNAME.at;
    const long = records.linkpath ?? longLink;
    const source = long ?? bytes;
    const start = long === undefined ? linkAt : 0;
    const end = long === undefined ? header.fieldEnd(bytes, linkAt, header.LINKNAME.length) : long.length;
    if (end - start > this.#limits.pathBytes) {
      throw new TslayerError('LIMIT_EXCEEDED', `tar: a link target of ${end - start} bytes`);
    }
    if (this.type === 'symlink') return this.#slab.copy(source, start, end);
    const link = this.#link;
    link.reset();
    link.append(source, start, end);
    if (link.whiteoutAt === -1) return link.take(this.#slab);
    throw new TslayerError('UNSAFE_LAYER', `tar: a hard link to the whiteout ${quote(link.take(this.#slab))}`);
  }

  #unknownType(typeflag: number): TslayerError {
    const shown = JSON.stringify(String.fromCharCode(typeflag));
    const name = quote(this.path.bytes.subarray(0, this.path.length));
    return new TslayerError('UNSUPPORTED', `tar: ${name} is of type ${shown}, which no layer has`);
  }
}

export function readSize(bytes: Uint8Array, at: number): number {
  const size = readNumber(bytes, at + header.SIZE.at, header.SIZE.length);
  if (size < 0) throw new TslayerError('MALFORMED', 'tar: a negative size');
  return size;
}

/** Linux has 12 bits for a major number, 20 for a minor one; more would be cut, and be another device. */
function readDevice(bytes: Uint8Array, at: number, bits: number): number {
  const number = readNumber(bytes, at, header.DEVICE_MAJOR.length);
  if (number >= 0 && number < 2 ** bits) return number;
  throw new TslayerError('MALFORMED', `tar: the device number ${number}`);
}

/** Refuses entries that are well formed as tar, and that no layer may have. */
function checkEntry({ type, path, linkname, deviceMajor, deviceMinor }: TarEntry): void {
  if (path.length === 0 && type !== 'directory') throw new TslayerError('MALFORMED', `tar: the root is a ${type}`);
  if (type === 'char' && deviceMajor === 0 && deviceMinor === 0) {
    // overlayfs would take it for a whiteout: a way to hide a lower layer's file that no scanner sees.
    throw new TslayerError('UNSAFE_LAYER', `tar: ${quote(path)} is the character device 0:0`);
  }
  if (type !== 'symlink' && type !== 'hardlink') return;
  if (linkname.length === 0) throw new TslayerError('MALFORMED', `tar: ${quote(path)} links to nothing`);
  if (type === 'symlink' && linkname.includes(0)) {
    throw new TslayerError('MALFORMED', `tar: ${quote(path)} links to a name with a NUL in it`);
  }
}
