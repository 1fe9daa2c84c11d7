/** Makes what is neither file nor directory. */
import { makedev, S_IFBLK, S_IFCHR, S_IFIFO } from '../../sys/files.ts';
import { makeNode, makeSymlink } from '../../sys/make-files.ts';
import type { TarEntry } from '../entry.ts';

/** Answers as sys/make-files does. */
export function makeSpecial(entry: TarEntry): number {
  const { path, mode } = entry;
  switch (entry.type) {
    case 'symlink':
      return makeSymlink(entry.linkname, path);
    case 'fifo':
      return makeNode(path, S_IFIFO | mode, 0);
    default: {
      const type = entry.type === 'char' ? S_IFCHR : S_IFBLK;
      return makeNode(path, type | mode, makedev(entry.deviceMajor, entry.deviceMinor));
    }
  }
}
