/** Chance, from the kernel's own device: node:crypto takes 6 ms of a start to load. */
import { closeSync, openSync, readSync } from 'node:fs';

/** A name that nobody else chooses. @param bytes how much chance there is in it @returns two digits for each */
export function randomHex(bytes: number): string {
  return noise(bytes).toString('hex');
}

/** So many bytes that nobody can foresee, and nothing can compress. */
export function noise(length: number): Buffer {
  let fd: number;
  try {
    fd = openSync('/dev/urandom', 'r');
  } catch {
    // A root without devices.
    return fromNode(length);
  }
  try {
    const bytes = Buffer.alloc(length);
    // More than 256 may come in pieces, when a signal comes between. random(4).
    for (let done = 0; done < length; ) {
      const count = readSync(fd, bytes, done, length - done, null);
      if (count === 0) return fromNode(length);
      done += count;
    }
    return bytes;
  } finally {
    closeSync(fd);
  }
}

function fromNode(length: number): Buffer {
  return process.getBuiltinModule('node:crypto').randomBytes(length);
}
