/** Writable branches of AUFS: whiteouts are files `.wh.NAME`, and AUFS keeps books of its own as `.wh..wh.*`. */
import { AUFS_LAYER_OPAQUE } from '../../src/archive/extract/aufs-spelling.ts';
import { OPAQUE_NAME, WHITEOUT_PREFIX } from '../../src/archive/tar/whiteouts.ts';
import { readDirectoryFd, statAt } from '../../src/sys/at.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import type { Marks } from '../directories/looks.ts';
import type { ListedName, Spelling } from './spelling.ts';

const PREFIX = Buffer.from(WHITEOUT_PREFIX);
/** `.wh..wh.aufs`, `.wh..wh.orph`, `.wh..wh.plnk`: never part of a layer. */
const OWN_PREFIX = Buffer.from('.wh..wh.');
/** AUFS', which it sets in writable branches, and the one that layers have. */
const OPAQUE = [OPAQUE_NAME, AUFS_LAYER_OPAQUE].map((name) => Buffer.from(name));

const startsWith = (name: Buffer, prefix: Buffer): boolean => name.subarray(0, prefix.length).equals(prefix);

/** Whiteouts, and all that AUFS keeps to itself. */
export const isWhiteoutName = (name: Buffer): boolean => startsWith(name, PREFIX);
/** Those that hide no name. */
export const isOwnName = (name: Buffer): boolean => startsWith(name, OWN_PREFIX);
export const isOpaqueMark = (name: Buffer): boolean => OPAQUE.some((mark) => mark.equals(name));
export const whiteoutTarget = (name: Buffer): Buffer => name.subarray(PREFIX.length);
export const whiteoutNameOf = (name: Buffer): Buffer => Buffer.concat([PREFIX, name]);

const has = (path: Buffer): boolean => statAt(AT_FDCWD, path) !== undefined;

/** The same by paths. */
export const aufsMarks: Marks = {
  isOpaque: (directory) => OPAQUE.some((mark) => has(Buffer.concat([directory, Buffer.from('/'), mark]))),
  isWhiteout(path) {
    const slash = path.lastIndexOf(0x2f) + 1;
    return has(Buffer.concat([path.subarray(0, slash), whiteoutNameOf(path.subarray(slash))]));
  },
};

export const aufsSpelling: Spelling = {
  whole: false,
  list(fd) {
    const found = readDirectoryFd(fd);
    return {
      names: found.flatMap(({ name }) => readName(name)),
      opaque: found.some(({ name }) => isOpaqueMark(name)),
    };
  },
};

function readName(name: Buffer): ListedName[] {
  if (!isWhiteoutName(name)) return [{ name, whiteout: false }];
  return isOwnName(name) ? [] : [{ name: whiteoutTarget(name), whiteout: true }];
}
