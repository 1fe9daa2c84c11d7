/**
 * The superblock: `struct erofs_super_block`, 128 bytes at offset 1024, here always with a checksum.
 * It is the last thing written to an image: without it the kernel mounts nothing.
 */
import { TslayerError } from '../../../src/errors.ts';
import { crc32c } from './crc32c.ts';
import {
  BLOCK_BITS,
  BLOCK_SIZE,
  DEVICE_SLOT_SIZE,
  FEATURE_COMPAT_MTIME,
  FEATURE_COMPAT_SB_CHKSUM,
  FEATURE_INCOMPAT_CHUNKED_FILE,
  FEATURE_INCOMPAT_DEVICE_TABLE,
  HEAD_SIZE,
  NULL_BLOCK,
  SUPER_MAGIC,
  SUPER_OFFSET,
} from './layout.ts';

export interface Superblock {
  /** Slot of the root directory: 16 bits in the format, hence always placed first. */
  readonly rootNid: number;
  readonly inodes: number;
  /** Blocks of the whole image. */
  readonly blocks: number;
  /** Block at which the metadata area, and so the numbering of slots, begins. */
  readonly metaBlock: number;
  /** 16 bytes; overlayfs tells its lower file systems apart by it. */
  readonly uuid: Uint8Array;
  readonly chunked: boolean;
  /** Device slots of a merged image, at `deviceOffset` from its start. */
  readonly devices?: { readonly count: number; readonly offset: number };
}

/** The checksum covers one block from the superblock on (the rest of that block is zeros). */
const CHECKED = BLOCK_SIZE;

function view(head: Uint8Array): DataView {
  return new DataView(head.buffer, head.byteOffset + SUPER_OFFSET, CHECKED);
}

/** The first 4096 bytes of an image. */
export function encodeHead(sb: Superblock): Uint8Array {
  if (sb.rootNid < 1 || sb.rootNid > 0xffff) throw new RangeError('root nid out of its 16 bits');
  if (sb.blocks >= NULL_BLOCK) throw new TslayerError('LIMIT_EXCEEDED', 'an EROFS image ends at 2 TiB');
  const head = new Uint8Array(HEAD_SIZE);
  const v = view(head);
  v.setUint32(0, SUPER_MAGIC, true);
  v.setUint32(8, FEATURE_COMPAT_SB_CHKSUM | FEATURE_COMPAT_MTIME, true);
  v.setUint8(12, BLOCK_BITS);
  v.setUint16(14, sb.rootNid, true);
  v.setUint32(16, sb.inodes, true);
  v.setUint32(36, sb.blocks, true);
  v.setUint32(40, sb.metaBlock, true);
  head.set(sb.uuid.subarray(0, 16), SUPER_OFFSET + 48);
  const incompat = (sb.chunked ? FEATURE_INCOMPAT_CHUNKED_FILE : 0) | (sb.devices ? FEATURE_INCOMPAT_DEVICE_TABLE : 0);
  v.setUint32(80, incompat, true);
  v.setUint16(86, sb.devices?.count ?? 0, true);
  v.setUint16(88, sb.devices ? sb.devices.offset / DEVICE_SLOT_SIZE : 0, true);
  v.setUint32(4, checksum(head), true);
  return head;
}

function checksum(head: Uint8Array): number {
  const covered = head.slice(SUPER_OFFSET, SUPER_OFFSET + CHECKED);
  covered.fill(0, 4, 8);
  return crc32c(0xffffffff, covered);
}

/** Reads back a head that this driver wrote. */
export function decodeHead(head: Uint8Array): Superblock {
  if (head.length < SUPER_OFFSET + CHECKED) throw new TslayerError('MALFORMED', 'not an EROFS image: too short');
  const v = view(head);
  if (v.getUint32(0, true) !== SUPER_MAGIC) throw new TslayerError('MALFORMED', 'not an EROFS image');
  if (v.getUint32(4, true) !== checksum(head)) throw new TslayerError('MALFORMED', 'EROFS superblock: bad checksum');
  if (v.getUint8(12) !== BLOCK_BITS) throw new TslayerError('UNSUPPORTED', 'EROFS image with other blocks than 512');
  const devices = v.getUint16(86, true);
  return {
    rootNid: v.getUint16(14, true),
    inodes: v.getUint32(16, true),
    blocks: v.getUint32(36, true),
    metaBlock: v.getUint32(40, true),
    uuid: head.slice(SUPER_OFFSET + 48, SUPER_OFFSET + 64),
    chunked: (v.getUint32(80, true) & FEATURE_INCOMPAT_CHUNKED_FILE) !== 0,
    ...(devices > 0 && { devices: { count: devices, offset: v.getUint16(88, true) * DEVICE_SLOT_SIZE } }),
  };
}
