/** Where an entry's content is: in the tar for a file, in the arena for a link's target, in the number of a device. */
import { constants } from 'node:fs';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import { encodeDevice } from '../format/inode.ts';
import { BLOCK_SIZE, HEAD_SIZE, LAYOUT_CHUNK_BASED, NULL_BLOCK, SYMLINK_MAX } from '../format/layout.ts';
import type { Arena } from './arena.ts';
import { printable } from './resolve.ts';
import type { SparseTable } from './sparse.ts';

const { S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFREG } = constants;

export interface Placed {
  /** S_IF*. */
  readonly type: number;
  readonly size: number;
  /** As InodeTable.place. */
  readonly place: number;
  readonly layout?: number;
}

export function placeOf(entry: TarEntry, arena: Arena, sparse: SparseTable): Placed {
  switch (entry.type) {
    case 'file':
      return entry.segments === undefined ? plainFile(entry) : sparseFile(entry, sparse);
    case 'symlink':
      return symlink(entry, arena);
    case 'char':
    case 'block':
      return device(entry);
    case 'fifo':
      return { type: S_IFIFO, size: 0, place: 0 };
    default:
      throw new RangeError(`no content in a ${entry.type}`);
  }
}

/** The file's bytes stay where they are: in the tar, which starts behind the head and aligns data to blocks. */
function blockOf({ dataOffset, storedSize }: TarEntry): number {
  const block = (HEAD_SIZE + dataOffset) / BLOCK_SIZE;
  if (!Number.isSafeInteger(block) || dataOffset < 0) {
    throw new TslayerError('MALFORMED', 'file data that is not aligned to 512 bytes');
  }
  if (block + storedSize / BLOCK_SIZE >= NULL_BLOCK) {
    throw new TslayerError('LIMIT_EXCEEDED', 'an EROFS image ends at 2 TiB');
  }
  return block;
}

function plainFile(entry: TarEntry): Placed {
  const { size, storedSize, path } = entry;
  if (!Number.isSafeInteger(size) || size < 0 || size !== storedSize) {
    throw new TslayerError('MALFORMED', `${printable(path)}: bad size`);
  }
  return { type: S_IFREG, size, place: size === 0 ? NULL_BLOCK : blockOf(entry) };
}

function sparseFile(entry: TarEntry, table: SparseTable): Placed {
  const { size, storedSize, dataOffset, segments = [], path } = entry;
  const stored = segments.reduce((sum, { length }) => sum + length, 0);
  if (!Number.isSafeInteger(size) || size < 0 || stored !== storedSize) {
    throw new TslayerError('MALFORMED', `${printable(path)}: its sparse map and its data disagree`);
  }
  if (size === 0) return { type: S_IFREG, size, place: NULL_BLOCK };
  const block = blockOf(entry);
  const whole = segments.find(({ length }) => length > 0);
  if (whole?.length === size) return { type: S_IFREG, size, place: block };
  return { type: S_IFREG, size, place: table.add({ size, dataOffset, segments }), layout: LAYOUT_CHUNK_BASED };
}

function symlink({ linkname, path }: TarEntry, arena: Arena): Placed {
  if (linkname.length === 0 || linkname.length > SYMLINK_MAX || linkname.includes(0)) {
    throw new TslayerError('MALFORMED', `${printable(path)}: a symbolic link needs a target of 1 to 4095 bytes`);
  }
  return { type: S_IFLNK, size: linkname.length, place: arena.add(linkname) };
}

function device({ type, deviceMajor: major, deviceMinor: minor, path }: TarEntry): Placed {
  if (!(major >= 0 && major < 2 ** 12 && minor >= 0 && minor < 2 ** 20)) {
    throw new TslayerError('MALFORMED', `${printable(path)}: device number out of range`);
  }
  // The overlay would take it for a whiteout: an image must not hide files behind our back.
  if (type === 'char' && major === 0 && minor === 0) {
    throw new TslayerError('UNSAFE_LAYER', `${printable(path)}: a character device 0:0 is a whiteout in disguise`);
  }
  return { type: type === 'char' ? S_IFCHR : S_IFBLK, size: 0, place: encodeDevice(major, minor) };
}
