/** C structures that hold pointers: addresses of buffers. */
import { native } from './libc.ts';

// memmove(p, p, 0) changes nothing and returns p: the address of a buffer's memory, as a number.
const cMemmove = native('long', 'memmove', ['bytes', 'bytes', 'ulong']);

/** Where a buffer lies; valid as long as the buffer is referenced. */
export function addressOf(buffer: Uint8Array): bigint {
  return BigInt(cMemmove(buffer, buffer, 0));
}
