/** Copies regular files: content by the cheapest way that both file systems offer, and all attributes. */
import { ftruncateSync } from 'node:fs';
import { chmodFd, chownFd, O_CREAT, O_EXCL, O_NOATIME, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../src/sys/at.ts';
import { found, foundTime, hasXattrs, openName, readInto, setTimeOfOpen, writeFrom } from '../../src/sys/bulk-at.ts';
import { copyFileRange, reflink, seek, seekData, seekHole } from '../../src/sys/files.ts';
import { closeFd, errnos, hasErrno, SystemCallError } from '../../src/sys/libc.ts';
import { getXattrFd, listXattrsFd, setXattrFd } from '../../src/sys/xattr.ts';

/** Up to here one read and one write beat copy_file_range(2), which sets up a pipe inside the kernel. */
const SMALL = 128 * 1024;
const CHUNK = 16 * 1024 * 1024;
const SPECIAL_BITS = 0o7000;

type Way = 'reflink' | 'range' | 'bytes';

export class FileCopier {
  /** The best way that has not failed yet. */
  #way: Way = 'reflink';
  #buffer: Buffer | undefined;
  readonly #umask: number;
  reflinked = false;

  /** @param umask of this process: what it takes away from new files is given back */
  constructor(umask: number) {
    this.#umask = umask;
  }

  /** A descriptor, or the negated errno. Does not wait for a fifo that took the file's place. */
  open(directory: number, name: Uint8Array): number {
    const fd = openName(directory, name, O_RDONLY | O_NONBLOCK | O_NOATIME);
    // O_NOATIME leaves the source as it is; only the owner and root may ask for it.
    return fd === -errnos.EPERM ? openName(directory, name, O_RDONLY | O_NONBLOCK) : fd;
  }

  /** Copies the open file that `found` tells of to a new name, yielding between the chunks of a large one. */
  copy(source: number, directory: number, name: Uint8Array): Generator<void, void> | undefined {
    const { size, blocks, mode, uid, gid } = found;
    const time = foundTime();
    const target = openName(directory, name, O_WRONLY | O_CREAT | O_EXCL, mode & 0o777);
    if (target < 0) throw new SystemCallError('openat', -target, JSON.stringify(Buffer.from(name).toString()));
    const finish = (): void => {
      if (uid !== 0 || gid !== 0) chownFd(target, uid, gid);
      if (hasXattrs(source)) copyXattrs(source, target);
      // After chown(2), which takes these bits away. Ordinary ones were given where the file was opened.
      if ((mode & (SPECIAL_BITS | this.#umask)) !== 0) chmodFd(target, mode & 0o7777);
      setTimeOfOpen(target, time);
    };
    if (size <= SMALL && blocks * 512 >= size && this.#way !== 'reflink') {
      return this.#copyWhole(source, target, size, finish);
    }
    return this.#copyLarge(source, target, { size, sparse: blocks * 512 < size }, finish);
  }

  #copyWhole(source: number, target: number, size: number, finish: () => void): undefined {
    try {
      for (let left = size; left > 0; ) {
        const copied = this.#copyBytes(source, target, left);
        if (copied === 0) break;
        left -= copied;
      }
      finish();
    } finally {
      closeFd(target);
    }
  }

  *#copyLarge(
    source: number,
    target: number,
    { size, sparse }: { readonly size: number; readonly sparse: boolean },
    finish: () => void,
  ): Generator<void, void> {
    try {
      if (size > 0 && !this.#share(source, target)) {
        if (sparse) yield* this.#copySparse(source, target, size);
        else yield* this.#copyRange(source, target, size);
      }
      finish();
    } finally {
      closeFd(target);
    }
  }

  #share(source: number, target: number): boolean {
    if (this.#way !== 'reflink') return false;
    if (reflink(source, target)) this.reflinked = true;
    else this.#way = 'range';
    return this.#way === 'reflink';
  }

  *#copySparse(source: number, target: number, size: number): Generator<void, void> {
    for (let data = seekData(source, 0); data !== undefined && data < size; ) {
      const hole = seekHole(source, data);
      seek(source, data);
      seek(target, data);
      yield* this.#copyRange(source, target, hole - data);
      data = seekData(source, hole);
    }
    ftruncateSync(target, size);
  }

  *#copyRange(source: number, target: number, length: number): Generator<void, void> {
    for (let left = length; left > 0; ) {
      const copied = this.#step(source, target, Math.min(left, CHUNK));
      if (copied === 0) return;
      left -= copied;
      if (left > 0) yield;
    }
  }

  #step(source: number, target: number, length: number): number {
    if (this.#way === 'bytes' || length <= SMALL) return this.#copyBytes(source, target, Math.min(length, SMALL));
    try {
      return copyFileRange(source, target, length);
    } catch (error) {
      // Between two file systems before 5.19, and on some network ones.
      if (!hasErrno(error, 'EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP')) throw error;
      this.#way = 'bytes';
      return this.#copyBytes(source, target, SMALL);
    }
  }

  #copyBytes(source: number, target: number, length: number): number {
    this.#buffer ??= Buffer.allocUnsafeSlow(SMALL);
    const read = readInto(source, this.#buffer, length);
    writeFrom(target, this.#buffer, read);
    return read;
  }
}

export function copyXattrs(source: number, target: number): void {
  for (const name of listXattrsFd(source)) {
    const value = getXattrFd(source, name);
    if (value !== undefined) setXattrFd(target, name, value);
  }
}
