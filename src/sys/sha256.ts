/**
 * SHA-256 by the OpenSSL that is in every Node, or beside it: node:crypto, which calls the same function, takes 6 ms of
 * a start to load. For bytes in memory, where FFI is loaded anyway.
 */
import { createHash } from 'node:crypto';
import { type Native, native } from './libc.ts';

const LENGTH = 32;
const cSha256 = findFunction();

/** Undefined in a Node that does not show its OpenSSL. */
function findFunction(): Native | undefined {
  try {
    return native('long', 'SHA256', ['bytes', 'ulong', 'bytes']);
  } catch {
    return undefined;
  }
}

/** In hexadecimal digits. */
export function sha256(bytes: Uint8Array): string {
  const found = Buffer.alloc(LENGTH);
  // A null pointer, where an OpenSSL has no SHA-256 to give.
  if (cSha256 === undefined || cSha256(bytes, bytes.length, found) === 0) {
    return createHash('sha256').update(bytes).digest('hex');
  }
  return found.toString('hex');
}
