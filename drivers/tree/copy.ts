/**
 * Copies trees with nothing lost: by reflink where the file system can, else inside the kernel; holes stay holes,
 * hard links stay linked, names are bytes, and owners, modes, times, devices and extended attributes are kept.
 */
import { closeSync, openSync } from 'node:fs';
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  linkAt,
  mkdirAt,
  mknodAt,
  O_DIRECTORY,
  O_RDONLY,
  openDirectoryAt,
  readlinkAt,
  type StatAt,
  setTimesAt,
  setTimesOf,
  statFd,
  symlinkAt,
} from '../../src/sys/at.ts';
import { makedev, S_IFLNK, S_IFMT, S_IFREG } from '../../src/sys/files.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { type Visit, walkTree } from '../../src/sys/walk.ts';
import { getXattr, getXattrFd, listXattrs, listXattrsFd, setXattr, setXattrFd } from '../../src/sys/xattr.ts';
import { FileCopier } from './copy-file.ts';
import { openParent } from './open-parent.ts';

export interface CopyResult {
  /** Whether file contents are shared with the source. */
  readonly reflinked: boolean;
  /** Inode numbers of directories, source and copy by turns. */
  readonly directories: BigUint64Array;
}

/** Copies the content and attributes of the directory `from` to `to`, an empty directory. Yields now and then. */
export function* copyTree(from: string, to: string): Generator<void, CopyResult> {
  const sourceFd = openSync(from, O_RDONLY | O_DIRECTORY);
  const targetFd = openSync(to, O_RDONLY | O_DIRECTORY);
  try {
    return yield* new TreeCopy(targetFd).run(sourceFd);
  } finally {
    closeSync(sourceFd);
    closeSync(targetFd);
  }
}

class TreeCopy {
  /** Open directories of the target, from its root to where the walk is. */
  readonly #targets: number[];
  readonly #files = new FileCopier();
  readonly #directories: bigint[] = [];
  /** First copy of each inode with several names. */
  readonly #linked = new Map<bigint, Buffer>();

  constructor(targetFd: number) {
    this.#targets = [targetFd];
  }

  get #root(): number {
    return this.#targets[0]!;
  }

  *run(sourceFd: number): Generator<void, CopyResult> {
    try {
      for (const visit of walkTree(sourceFd)) {
        if (visit.event === 'leave') this.#finishDirectory(visit);
        else if (visit.fd !== -1) this.#beginDirectory(visit);
        else yield* this.#copy(visit);
        yield;
      }
      return { reflinked: this.#files.reflinked, directories: new BigUint64Array(this.#directories) };
    } finally {
      for (const fd of this.#targets.splice(1)) closeFd(fd);
    }
  }

  #beginDirectory({ parentFd, name }: Visit): void {
    if (parentFd === -1) return;
    const into = this.#targets.at(-1)!;
    mkdirAt(into, name);
    this.#targets.push(openDirectoryAt(into, name));
  }

  /** Times come last: everything made inside has changed them. */
  #finishDirectory({ fd, parentFd, stat }: Visit): void {
    const target = this.#targets.at(-1)!;
    dressFd(target, fd, stat);
    this.#directories.push(stat.ino, statFd(target).ino);
    if (parentFd === -1) return;
    this.#targets.pop();
    closeFd(target);
  }

  *#copy(visit: Visit): Generator<void, void> {
    const { parentFd, name, path, stat } = visit;
    const into = this.#targets.at(-1)!;
    if (stat.nlink > 1 && this.#linkToFirst(stat.ino, path, into, name)) return;
    const type = stat.mode & S_IFMT;
    if (type === S_IFREG) {
      const fds = this.#files.open(parentFd, name, into);
      try {
        yield* this.#files.copy(fds, stat);
        dressFd(fds.target, fds.source, stat);
      } finally {
        this.#files.close(fds);
      }
    } else if (type === S_IFLNK) {
      symlinkAt(readlinkAt(parentFd, name), into, name);
      dressAt(into, parentFd, name, stat);
    } else {
      mknodAt(into, name, stat.mode, makedev(stat.deviceMajor, stat.deviceMinor));
      dressAt(into, parentFd, name, stat);
    }
  }

  #linkToFirst(inode: bigint, path: Buffer, into: number, name: Buffer): boolean {
    const first = this.#linked.get(inode);
    if (first === undefined) {
      this.#linked.set(inode, path);
      return false;
    }
    using parent = openParent(this.#root, first);
    linkAt(parent.fd, parent.name, into, name);
    return true;
  }
}

/** Owner first: changing it clears setuid bits and security.capability. */
function dressFd(target: number, source: number, stat: StatAt): void {
  if (stat.uid !== 0 || stat.gid !== 0) chownFd(target, stat.uid, stat.gid);
  for (const name of listXattrsFd(source)) {
    const value = getXattrFd(source, name);
    if (value !== undefined) setXattrFd(target, name, value);
  }
  chmodFd(target, stat.mode & 0o7777);
  setTimesOf(target, stat.mtimeSeconds, stat.mtimeNanoseconds);
}

/** Links, devices, fifos and sockets are never opened: their attributes go by name. */
function dressAt(targetFd: number, sourceFd: number, name: Buffer, stat: StatAt): void {
  if (stat.uid !== 0 || stat.gid !== 0) chownAt(targetFd, name, stat.uid, stat.gid);
  const [source, target] = [sourceFd, targetFd].map((fd) => Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]));
  for (const xattr of listXattrs(source!)) {
    const value = getXattr(source!, xattr);
    if (value !== undefined) setXattr(target!, xattr, value);
  }
  // mknod(2) has applied the umask.
  if ((stat.mode & S_IFMT) !== S_IFLNK) chmodAt(targetFd, name, stat.mode & 0o7777);
  setTimesAt(targetFd, name, stat.mtimeSeconds, stat.mtimeNanoseconds);
}
