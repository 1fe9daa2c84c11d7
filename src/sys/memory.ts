/** C structures that hold pointers: addresses of buffers, arrays of strings. */
import { cstring, native } from './libc.ts';

// memmove(p, p, 0) changes nothing and returns p: the address of a buffer's memory, as a number.
const cMemmove = native('long', 'memmove', ['bytes', 'bytes', 'ulong']);

/** Where a buffer lies; valid as long as the buffer is referenced. */
export function addressOf(buffer: Uint8Array): bigint {
  return BigInt(cMemmove(buffer, buffer, 0));
}

/** A NULL-terminated `char *const []` with its strings behind it, in one buffer, so that one reference keeps all. */
export function stringArray(texts: readonly string[]): Uint8Array {
  const strings = texts.map(cstring);
  const table = (strings.length + 1) * 8;
  const block = Buffer.alloc(strings.reduce((total, bytes) => total + bytes.length, table));
  const base = addressOf(block);
  let offset = table;
  for (const [i, bytes] of strings.entries()) {
    block.writeBigUInt64LE(base + BigInt(offset), i * 8);
    block.set(bytes, offset);
    offset += bytes.length;
  }
  return block;
}
