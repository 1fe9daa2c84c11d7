/** Names that nobody else chooses. From the kernel's own device: node:crypto takes 6 ms of a start to load. */
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

/** @param bytes how much chance there is in it; at most 256, which one read always gives. @returns two digits for each */
export function randomHex(bytes: number): string {
  return fromDevice(bytes).toString('hex');
}

function fromDevice(length: number): Buffer {
  let fd: number;
  try {
    fd = openSync('/dev/urandom', 'r');
  } catch {
    // A root without devices.
    return randomBytes(length);
  }
  try {
    const bytes = Buffer.alloc(length);
    return readSync(fd, bytes, 0, length, null) === length ? bytes : randomBytes(length);
  } finally {
    closeSync(fd);
  }
}
