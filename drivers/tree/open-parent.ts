/** Reaches a path of any length below an open directory, never through a symbolic link. */
import { openDirectoryAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';

export interface OpenParent extends Disposable {
  readonly fd: number;
  readonly name: Buffer;
}

/** The directory that holds `path` and the last component's name. */
export function openParent(rootFd: number, path: Buffer): OpenParent {
  let fd = rootFd;
  let start = 0;
  for (let slash = path.indexOf(0x2f); slash !== -1; slash = path.indexOf(0x2f, start)) {
    let next: number;
    try {
      next = openDirectoryAt(fd, path.subarray(start, slash));
    } finally {
      if (fd !== rootFd) closeFd(fd);
    }
    fd = next;
    start = slash + 1;
  }
  return {
    fd,
    name: path.subarray(start),
    [Symbol.dispose]() {
      if (fd !== rootFd) closeFd(fd);
    },
  };
}
