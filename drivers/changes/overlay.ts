/** Upper directories of overlayfs: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". */
import { type DirectoryEntry, DT_UNKNOWN, readDirectoryFd, type StatAt, statAt } from '../../src/sys/at.ts';
import { S_IFCHR, S_IFMT } from '../../src/sys/files.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { getXattr, getXattrFd } from '../../src/sys/xattr.ts';
import type { Marks } from '../directories/looks.ts';
import type { Spelling } from './spelling.ts';

const DT_CHR = 2;

const opaqueMark = (userxattr: boolean): string => (userxattr ? 'user.overlay.opaque' : 'trusted.overlay.opaque');

/** The same by paths. */
export function overlayMarks(userxattr: boolean): Marks {
  const mark = opaqueMark(userxattr);
  return {
    isOpaque: (directory) => getXattr(directory, mark)?.toString() === 'y',
    isWhiteout: (path) => isWhiteoutDevice(statAt(AT_FDCWD, path)),
  };
}

export function overlaySpelling(userxattr: boolean): Spelling {
  const mark = opaqueMark(userxattr);
  return {
    whole: false,
    list: (fd) => ({
      names: readDirectoryFd(fd).map((entry) => ({ name: entry.name, whiteout: isWhiteout(fd, entry) })),
      opaque: getXattrFd(fd, mark)?.toString() === 'y',
    }),
  };
}

/** Whether an open directory of a layer is marked as one whose whiteouts nobody is to see. */
export function overlayFilter(userxattr: boolean): (fd: number) => boolean {
  const mark = userxattr ? 'user.overlay.origin' : 'trusted.overlay.origin';
  return (fd) => getXattrFd(fd, mark) !== undefined;
}

/** A character device 0:0, which nobody can make through a mounted overlay. */
function isWhiteout(fd: number, { name, type }: DirectoryEntry): boolean {
  if (type !== DT_CHR && type !== DT_UNKNOWN) return false;
  return isWhiteoutDevice(statAt(fd, name));
}

function isWhiteoutDevice(stat: StatAt | undefined): boolean {
  return stat !== undefined && (stat.mode & S_IFMT) === S_IFCHR && stat.deviceMajor === 0 && stat.deviceMinor === 0;
}
