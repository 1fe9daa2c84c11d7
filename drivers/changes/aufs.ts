/** Writable branches of AUFS: whiteouts are files `.wh.NAME`, and AUFS keeps books of its own as `.wh..wh.*`. */
import { readDirectoryFd, statAt } from '../../src/sys/at.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import type { Marks } from '../directories/looks.ts';
import type { ListedName, Spelling } from './spelling.ts';

const PREFIX = Buffer.from('.wh.');
/** `.wh..wh.aufs`, `.wh..wh.orph`, `.wh..wh.plnk`: never part of a layer. */
const OWN_PREFIX = Buffer.from('.wh..wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');

const startsWith = (name: Buffer, prefix: Buffer): boolean => name.subarray(0, prefix.length).equals(prefix);

/** The same by paths. */
export const aufsMarks: Marks = {
  isOpaque: (directory) => statAt(AT_FDCWD, Buffer.concat([directory, Buffer.from('/'), OPAQUE])) !== undefined,
  isWhiteout(path) {
    const slash = path.lastIndexOf(0x2f) + 1;
    return statAt(AT_FDCWD, Buffer.concat([path.subarray(0, slash), PREFIX, path.subarray(slash)])) !== undefined;
  },
};

export const aufsSpelling: Spelling = {
  whole: false,
  list(fd) {
    const found = readDirectoryFd(fd);
    return {
      names: found.flatMap(({ name }) => readName(name)),
      opaque: found.some(({ name }) => name.equals(OPAQUE)),
    };
  },
};

function readName(name: Buffer): ListedName[] {
  if (!startsWith(name, PREFIX)) return [{ name, whiteout: false }];
  return startsWith(name, OWN_PREFIX) ? [] : [{ name: name.subarray(PREFIX.length), whiteout: true }];
}
