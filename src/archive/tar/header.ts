/**
 * The 512-byte header block: where its fields lie and which dialect it is. POSIX pax "ustar Interchange Format";
 * GNU tar's manual, "Basic Tar Format"; star(5) for the shorter prefix.
 */

export const BLOCK = 512;

export const NAME = { at: 0, length: 100 } as const;
export const MODE = { at: 100, length: 8 } as const;
export const UID = { at: 108, length: 8 } as const;
export const GID = { at: 116, length: 8 } as const;
export const SIZE = { at: 124, length: 12 } as const;
export const MTIME = { at: 136, length: 12 } as const;
export const CHECKSUM = { at: 148, length: 8 } as const;
export const TYPE_AT = 156;
export const LINKNAME = { at: 157, length: 100 } as const;
export const MAGIC_AT = 257;
export const DEVICE_MAJOR = { at: 329, length: 8 } as const;
export const DEVICE_MINOR = { at: 337, length: 8 } as const;
export const PREFIX = { at: 345, length: 155 } as const;
const STAR_PREFIX_LENGTH = 131;

type Dialect = 'v7' | 'ustar' | 'star' | 'gnu';

/** `ustar\0` is POSIX's (with `tar\0` at the very end: star's), `ustar  ` GNU's, anything else the seventh edition's. */
export function dialectOf(bytes: Uint8Array, at: number): Dialect {
  const magic = at + MAGIC_AT;
  if (bytes[magic] !== 0x75 || bytes[magic + 1] !== 0x73 || bytes[magic + 2] !== 0x74) return 'v7';
  if (bytes[magic + 3] !== 0x61 || bytes[magic + 4] !== 0x72) return 'v7';
  if (bytes[magic + 5] === 0) return bytes[at + 508] === 0x74 && bytes[at + 509] === 0x61 ? 'star' : 'ustar';
  return bytes[magic + 5] === 0x20 ? 'gnu' : 'v7';
}

/** Bytes of the prefix field that belong to the path; 0 for dialects that keep other things there. */
export function prefixLength(dialect: Dialect): number {
  if (dialect === 'ustar') return PREFIX.length;
  return dialect === 'star' ? STAR_PREFIX_LENGTH : 0;
}

/** End of a NUL-terminated field that may also fill its room. */
export function fieldEnd(bytes: Uint8Array, at: number, length: number): number {
  const limit = at + length;
  let end = at;
  while (end < limit && bytes[end] !== 0) end++;
  return end;
}

/**
 * The sum of all bytes of the block, the checksum field taken as blanks. Adds four bytes at a time, in two lanes of
 * 16 bits: 128 words of two bytes a lane stay below 2^16.
 */
export function checksumOf(view: DataView, at: number): number {
  let even = 0;
  let odd = 0;
  for (let end = at + BLOCK, i = at; i < end; i += 4) {
    const word = view.getUint32(i, true);
    even += word & 0x00ff00ff;
    odd += (word >>> 8) & 0x00ff00ff;
  }
  let sum = (even & 0xffff) + (even >>> 16) + (odd & 0xffff) + (odd >>> 16);
  for (let i = 0; i < CHECKSUM.length; i++) sum += 0x20 - view.getUint8(at + CHECKSUM.at + i);
  return sum;
}

/** The same sum over signed bytes, as some old tars made it: tried when the right one does not match. */
export function signedChecksumOf(view: DataView, at: number): number {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) {
    const inField = i >= CHECKSUM.at && i < CHECKSUM.at + CHECKSUM.length;
    sum += inField ? 0x20 : view.getInt8(at + i);
  }
  return sum;
}

export function isZeroBlock(view: DataView, at: number): boolean {
  for (let i = 0; i < BLOCK; i += 4) if (view.getUint32(at + i, true) !== 0) return false;
  return true;
}
