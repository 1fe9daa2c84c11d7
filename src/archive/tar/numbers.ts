/**
 * Numbers of a tar header: octal digits, or base-256 when the first bit is set (GNU tar's manual, "Extensions to
 * the format"). Decimal ones come from PAX records.
 */
import { TslayerError } from '../../errors.ts';

const SPACE = 0x20;
const ZERO = 0x30;

function malformed(what: string): TslayerError {
  return new TslayerError('MALFORMED', `tar header: ${what}`);
}

/** A field of `length` bytes at `at`: leading blanks are skipped, a blank or NUL ends it, an empty one is 0. */
export function readNumber(bytes: Uint8Array, at: number, length: number): number {
  const end = at + length;
  let byte = bytes[at]!;
  if (byte >= 0x80) return readBase256(bytes, at, end);
  while ((byte === SPACE || byte === 0) && ++at < end) byte = bytes[at]!;
  let value = 0;
  for (; at < end; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 7) {
      if (bytes[at] === SPACE || bytes[at] === 0) break;
      throw malformed('a number that is not octal');
    }
    value = value * 8 + digit;
  }
  return value;
}

/** Two's complement, big-endian; the top bit of the first byte is the marker, the next one the sign. */
function readBase256(bytes: Uint8Array, at: number, end: number): number {
  const first = bytes[at]!;
  let value = first & 0x40 ? (first & 0x7f) - 0x80 : first & 0x7f;
  for (let i = at + 1; i < end; i++) value = value * 256 + bytes[i]!;
  if (!Number.isSafeInteger(value)) throw malformed('a number beyond 2^53');
  return value;
}

/** A decimal number of digits alone, as PAX spells sizes and ids. */
export function readDecimal(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = bytes[i]! - ZERO;
    if (digit < 0 || digit > 9) throw malformed('a PAX number that is not decimal');
    value = value * 10 + digit;
  }
  if (start === end || !Number.isSafeInteger(value)) throw malformed('a PAX number that is empty or beyond 2^53');
  return value;
}

/**
 * A user or group id. 2^32-1 is refused as well: it is the -1 of chown(2), "leave it as it is", and so would make
 * the file root's; larger ones would wrap to root in a careless reader (CVE-2024-40635).
 */
export function checkId(id: number, what: string): number {
  if (id >= 0 && id < 0xffff_ffff) return id;
  throw malformed(`${what} ${id} is not an id`);
}
