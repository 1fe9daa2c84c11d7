/**
 * Times of directories, set when everything is in them: each file made in a directory changes its time again.
 * A million directories are kept as columns, not as objects.
 */

import { S_IFDIR } from '../../sys/files.ts';
import { setFileTimes } from '../../sys/make-files.ts';
import type { Timestamp } from '../entry.ts';
import { look } from './look.ts';

export class DirectoryTimes {
  #paths = new Uint8Array(1 << 12);
  #ends = new Uint32Array(1 << 8);
  #times = new Float64Array(1 << 10);
  #count = 0;
  /** Set when a directory gave way to something else: then a path may no longer mean what it meant. */
  replaced = false;

  /** The last word on a path counts. */
  add(path: Uint8Array, mtime: Timestamp, atime: Timestamp = mtime): void {
    const start = this.#count === 0 ? 0 : this.#ends[this.#count - 1]!;
    this.#reserve(start + path.length);
    this.#paths.set(path, start);
    this.#ends[this.#count] = start + path.length;
    this.#times.set([mtime.seconds, mtime.nanoseconds, atime.seconds, atime.nanoseconds], this.#count * 4);
    this.#count++;
  }

  apply(): void {
    for (let i = 0; i < this.#count; i++) {
      const path = this.#paths.subarray(i === 0 ? 0 : this.#ends[i - 1]!, this.#ends[i]!);
      if (this.replaced && !isDirectory(path)) continue;
      const [seconds, nanoseconds, accessed, accessedNanoseconds] = this.#times.subarray(i * 4, i * 4 + 4);
      // What is gone by now was removed by a later entry.
      setFileTimes(
        path.length === 0 ? ROOT : path,
        { seconds: accessed!, nanoseconds: accessedNanoseconds! },
        { seconds: seconds!, nanoseconds: nanoseconds! },
      );
    }
  }

  #reserve(bytes: number): void {
    if (bytes > this.#paths.length) this.#paths = grown(this.#paths, new Uint8Array(bytes * 2));
    if (this.#count < this.#ends.length) return;
    this.#ends = grown(this.#ends, new Uint32Array(this.#count * 2));
    this.#times = grown(this.#times, new Float64Array(this.#count * 8));
  }
}

const ROOT = Buffer.from('.');

function isDirectory(path: Uint8Array): boolean {
  return path.length === 0 || look(path)?.type === S_IFDIR;
}

function grown<T extends Uint8Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
