/** The file whose data is coming in: written where its segments belong, and finished with its attributes. */
import { ftruncateSync, writeSync } from 'node:fs';
import { closeFd } from '../../sys/libc.ts';
import { setFileTimesFd, setModeFd, setOwnerFd } from '../../sys/make-files.ts';
import { writeAll } from '../../sys/write-all.ts';
import type { TarEntry } from '../entry.ts';
import { must, setXattrs } from './attributes.ts';
import type { Warnings } from './warnings.ts';

export class OpenFile {
  readonly #fd: number;
  readonly #entry: TarEntry;
  #left: number;
  /** The segment being written, and what of it is there; sparse files only. */
  #segment = 0;
  #written = 0;

  constructor(fd: number, entry: TarEntry) {
    this.#fd = fd;
    this.#entry = entry;
    this.#left = entry.storedSize;
  }

  /** Whether all stored bytes came. */
  get complete(): boolean {
    return this.#left === 0;
  }

  write(chunk: Uint8Array): void {
    this.#left -= chunk.length;
    if (this.#entry.segments === undefined) writeAll(this.#fd, chunk);
    else this.#writeSparse(chunk);
  }

  #writeSparse(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length; ) {
      const { offset, length } = this.#entry.segments![this.#segment]!;
      const take = Math.min(length - this.#written, chunk.length - at);
      const wrote = writeSync(this.#fd, chunk, at, take, offset + this.#written);
      at += wrote;
      this.#written += wrote;
      if (this.#written < length) continue;
      this.#segment++;
      this.#written = 0;
    }
  }

  /**
   * The order matters: chown(2) clears setuid and capabilities, write(2) clears capabilities, both change the time.
   */
  finish(warnings: Warnings): void {
    const entry = this.#entry;
    if (entry.segments !== undefined) ftruncateSync(this.#fd, entry.size);
    if (entry.uid !== 0 || entry.gid !== 0) {
      must(setOwnerFd(this.#fd, entry.uid, entry.gid), 'chown', entry.path);
      if ((entry.mode & 0o6000) !== 0) must(setModeFd(this.#fd, entry.mode), 'chmod', entry.path);
    }
    if (entry.xattrs.length > 0) setXattrs(this.#fd, entry, entry.xattrs, warnings);
    must(setFileTimesFd(this.#fd, entry.atime ?? entry.mtime, entry.mtime), 'set the time of', entry.path);
    this.close();
  }

  close(): void {
    closeFd(this.#fd);
  }
}
