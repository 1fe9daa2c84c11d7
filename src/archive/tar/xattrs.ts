/**
 * Extended attributes in PAX records: `SCHILY.xattr.NAME` holds the value's raw bytes (star, GNU tar, Go),
 * `LIBARCHIVE.xattr.NAME` base64 with the name percent-encoded (bsdtar).
 */
import { TslayerError } from '../../errors.ts';
import type { Xattr } from '../entry.ts';

/**
 * Attributes by which union file systems mark whiteouts, opaque and redirected directories. Taken from an image,
 * they would let a layer redirect a directory to any other, or hide what lower layers hold.
 */
const RESERVED = ['trusted.overlay.', 'user.overlay.', 'trusted.aufs.'];

export function isReservedXattr(name: string): boolean {
  return RESERVED.some((prefix) => name.startsWith(prefix));
}

/** GNU tar spells `=`, which would end the keyword, as %3D, and % as %25. */
export function decodeSchilyName(name: string): string {
  return name.includes('%') ? name.replaceAll('%3D', '=').replaceAll('%25', '%') : name;
}

export function encodeSchilyName(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

export function decodeLibarchiveName(name: string): string {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Names (bytes as Latin-1) and values as entries carry them: sorted, reserved ones gone. */
export function toXattrs(values: ReadonlyMap<string, Uint8Array>): readonly Xattr[] {
  const names = [...values.keys()].filter((name) => !isReservedXattr(name)).sort();
  return names.map((name) => ({ name: xattrName(name), value: values.get(name)! }));
}

function xattrName(name: string): Uint8Array {
  if (name === '' || name.includes('\0')) throw new TslayerError('MALFORMED', 'tar: an xattr without a proper name');
  return Buffer.from(name, 'latin1');
}
