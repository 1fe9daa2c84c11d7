/** Copies the bytes of files by the cheapest way that both file systems offer. */
import { ftruncateSync, readSync, writeSync } from 'node:fs';
import { O_CREAT, O_EXCL, O_NOATIME, O_RDONLY, O_WRONLY, openAt, type StatAt } from '../../src/sys/at.ts';
import { copyFileRange, reflink, seek, seekData, seekHole } from '../../src/sys/files.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';

export interface FilePair {
  readonly source: number;
  readonly target: number;
}

/** Below this one read and one write beat copy_file_range(2), which sets up a pipe inside the kernel. */
const SMALL = 128 * 1024;
const CHUNK = 16 * 1024 * 1024;

type Way = 'reflink' | 'range' | 'bytes';

export class FileCopier {
  /** The best way that has not failed yet. */
  #way: Way = 'reflink';
  #buffer: Buffer | undefined;
  reflinked = false;

  open(sourceDirectory: number, name: Buffer, targetDirectory: number): FilePair {
    const source = openForReading(sourceDirectory, name);
    try {
      return { source, target: openAt(targetDirectory, name, O_WRONLY | O_CREAT | O_EXCL, 0o600) };
    } catch (error) {
      closeFd(source);
      throw error;
    }
  }

  close({ source, target }: FilePair): void {
    closeFd(source);
    closeFd(target);
  }

  /** Copies the content, yielding between chunks. Both are at their start. */
  *copy({ source, target }: FilePair, stat: StatAt): Generator<void, void> {
    if (stat.size === 0) return;
    if (this.#way === 'reflink') {
      if (reflink(source, target)) {
        this.reflinked = true;
        return;
      }
      this.#way = 'range';
    }
    if (stat.blocks * 512 < stat.size) yield* this.#copySparse(source, target, stat.size);
    else yield* this.#copyRange(source, target, stat.size);
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
    const read = readSync(source, this.#buffer, 0, length, null);
    for (let written = 0; written < read; ) written += writeSync(target, this.#buffer, written, read - written);
    return read;
  }
}

/** O_NOATIME leaves the source as it is; only the owner and root may ask for it. */
function openForReading(directory: number, name: Buffer): number {
  try {
    return openAt(directory, name, O_RDONLY | O_NOATIME);
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    return openAt(directory, name, O_RDONLY);
  }
}
