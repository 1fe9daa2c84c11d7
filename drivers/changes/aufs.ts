/** Writable branches of AUFS: whiteouts are files `.wh.NAME`, and AUFS keeps books of its own as `.wh..wh.*`. */
import { readDirectoryFd } from '../../src/sys/at.ts';
import type { ListedName, Spelling } from './spelling.ts';

const PREFIX = Buffer.from('.wh.');
/** `.wh..wh.aufs`, `.wh..wh.orph`, `.wh..wh.plnk`: never part of a layer. */
const OWN_PREFIX = Buffer.from('.wh..wh.');
const OPAQUE = Buffer.from('.wh..wh..opq');

const startsWith = (name: Buffer, prefix: Buffer): boolean => name.subarray(0, prefix.length).equals(prefix);

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
