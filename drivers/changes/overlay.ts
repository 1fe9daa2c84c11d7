/** Upper directories of overlayfs: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". */
import { type DirectoryEntry, DT_UNKNOWN, readDirectoryFd, statAt } from '../../src/sys/at.ts';
import { S_IFCHR, S_IFMT } from '../../src/sys/files.ts';
import { getXattrFd } from '../../src/sys/xattr.ts';
import type { Spelling } from './spelling.ts';

const DT_CHR = 2;

export function overlaySpelling(userxattr: boolean): Spelling {
  const mark = userxattr ? 'user.overlay.opaque' : 'trusted.overlay.opaque';
  return {
    whole: false,
    list: (fd) => ({
      names: readDirectoryFd(fd).map((entry) => ({ name: entry.name, whiteout: isWhiteout(fd, entry) })),
      opaque: getXattrFd(fd, mark)?.toString() === 'y',
    }),
  };
}

/** A character device 0:0, which nobody can make through a mounted overlay. */
function isWhiteout(fd: number, { name, type }: DirectoryEntry): boolean {
  if (type !== DT_CHR && type !== DT_UNKNOWN) return false;
  const stat = statAt(fd, name);
  return stat !== undefined && (stat.mode & S_IFMT) === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0;
}
