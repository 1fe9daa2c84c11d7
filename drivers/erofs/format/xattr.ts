/**
 * Extended attributes as EROFS stores them inline: a header of 12 bytes (`erofs_xattr_ibody_header`), then entries
 * of 4 bytes, name and value, each aligned to 4. A name's prefix is a number; names under no known prefix cannot be
 * stored. ACLs are stored in the format that getxattr(2) shows, version 2.
 */

import type { Xattr } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import {
  alignUp,
  XATTR_BODY_MAX,
  XATTR_ENTRY_SIZE,
  XATTR_HEADER_SIZE,
  XATTR_NAME_MAX,
  XATTR_VALUE_MAX,
} from './layout.ts';

const PREFIXES: readonly { readonly index: number; readonly prefix: Buffer; readonly whole: boolean }[] = [
  { index: 1, prefix: Buffer.from('user.'), whole: false },
  { index: 2, prefix: Buffer.from('system.posix_acl_access'), whole: true },
  { index: 3, prefix: Buffer.from('system.posix_acl_default'), whole: true },
  { index: 4, prefix: Buffer.from('trusted.'), whole: false },
  { index: 6, prefix: Buffer.from('security.'), whole: false },
];

/** overlayfs keeps its own state under these names: an image that brings them would steer the mount. */
const RESERVED = [Buffer.from('trusted.overlay.'), Buffer.from('user.overlay.')];

interface StoredName {
  readonly index: number;
  readonly suffix: Uint8Array;
}

function startsWith(bytes: Uint8Array, prefix: Buffer): boolean {
  return bytes.length >= prefix.length && prefix.compare(bytes, 0, prefix.length) === 0;
}

/** The name by number and rest; undefined for one that EROFS has no place for. */
function storedName(name: Uint8Array): StoredName | undefined {
  for (const { index, prefix, whole } of PREFIXES) {
    if (!startsWith(name, prefix)) continue;
    const suffix = name.subarray(prefix.length);
    if (whole ? suffix.length > 0 : suffix.length === 0 || suffix.length > XATTR_NAME_MAX) return undefined;
    return suffix.includes(0) ? undefined : { index, suffix };
  }
  return undefined;
}

export interface EncodedXattrs {
  /** Entries without their header; empty when nothing is to be stored. */
  readonly entries: Uint8Array;
  /** Names that EROFS cannot hold. */
  readonly refused: readonly Uint8Array[];
}

const NONE: EncodedXattrs = { entries: new Uint8Array(0), refused: [] };

/** An image's attributes, without those that belong to the overlay. */
export function encodeXattrs(xattrs: readonly Xattr[]): EncodedXattrs {
  if (xattrs.length === 0) return NONE;
  const pieces: Uint8Array[] = [];
  const refused: Uint8Array[] = [];
  let total = XATTR_HEADER_SIZE;
  for (const { name, value } of xattrs) {
    if (RESERVED.some((prefix) => startsWith(name, prefix))) continue;
    const stored = storedName(name);
    if (stored === undefined || value.length > XATTR_VALUE_MAX) {
      refused.push(name);
      continue;
    }
    const piece = encodeEntry(stored, value);
    total += piece.length;
    if (total > XATTR_BODY_MAX) {
      throw new TslayerError('LIMIT_EXCEEDED', `extended attributes of one file over ${XATTR_BODY_MAX} bytes`);
    }
    pieces.push(piece);
  }
  return { entries: Buffer.concat(pieces), refused };
}

function encodeEntry({ index, suffix }: StoredName, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(alignUp(XATTR_ENTRY_SIZE + suffix.length + value.length, 4));
  bytes[0] = suffix.length;
  bytes[1] = index;
  bytes[2] = value.length & 0xff;
  bytes[3] = value.length >> 8;
  bytes.set(suffix, XATTR_ENTRY_SIZE);
  bytes.set(value, XATTR_ENTRY_SIZE + suffix.length);
  return bytes;
}

function overlayEntry(name: string, value: string): Uint8Array {
  return encodeEntry({ index: 4, suffix: Buffer.from(`overlay.${name}`) }, Buffer.from(value));
}

/** The directory hides what lower layers have in it. */
export const OPAQUE_ENTRY: Uint8Array = overlayEntry('opaque', 'y');

/**
 * Says that the directory was merged once and may hold whiteouts. overlayfs then filters them also where no other
 * layer has the directory; without it they would be listed as device files (ovl_get_inode, OVL_WHITEOUTS).
 */
export const ORIGIN_ENTRY: Uint8Array = overlayEntry('origin', '');

/**
 * Ours: no entry of the tar names the directory, so its attributes are made up. Under overlayfs's own prefix, which
 * it shows to nobody.
 */
export const IMPLICIT_ENTRY: Uint8Array = overlayEntry('implicit', 'y');

/** Whether a directory's attributes say so. */
export function overlayMark(xattrs: readonly Xattr[], name: 'opaque' | 'implicit'): boolean {
  return xattrs.some((xattr) => Buffer.from(xattr.name).toString('latin1') === `trusted.overlay.${name}`);
}

/** Reads entries back, names with their prefixes. */
export function decodeXattrs(body: Uint8Array): Xattr[] {
  const found: Xattr[] = [];
  for (let at = XATTR_HEADER_SIZE; at + XATTR_ENTRY_SIZE <= body.length; ) {
    const nameLength = body[at]!;
    const valueLength = body[at + 2]! | (body[at + 3]! << 8);
    const prefix = PREFIXES.find(({ index }) => index === body[at + 1])?.prefix ?? Buffer.alloc(0);
    const nameEnd = at + XATTR_ENTRY_SIZE + nameLength;
    found.push({
      name: Buffer.concat([prefix, body.subarray(at + XATTR_ENTRY_SIZE, nameEnd)]),
      value: body.slice(nameEnd, nameEnd + valueLength),
    });
    at = alignUp(nameEnd + valueLength, 4);
  }
  return found;
}
