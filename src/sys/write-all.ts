import { writeSync } from 'node:fs';

/**
 * All of `bytes` at `position`, or where the descriptor is: write(2) may take less, at a signal or on a disk that is
 * nearly full.
 */
export function writeAll(fd: number, bytes: Uint8Array, position?: number): void {
  for (let done = 0; done < bytes.length; ) {
    const at = position === undefined ? null : position + done;
    done += writeSync(fd, bytes, done, bytes.length - done, at);
  }
}
