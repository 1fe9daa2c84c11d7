/** `struct erofs_inode_extended`: 64 bytes, followed by the inode's xattrs and then by an inline tail or chunk map. */
import { INODE_EXTENDED, INODE_SIZE, XATTR_HEADER_SIZE } from './layout.ts';

export interface Inode {
  /** LAYOUT_*: how `size` bytes of data are found. */
  readonly layout: number;
  /** Type and permissions, as st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** First block of the data, the device number, or the chunk format. */
  readonly place: number;
  readonly nid: number;
  readonly links: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  /** Bytes of the xattr body behind the inode, its header included; 0 for none. */
  readonly xattrBytes: number;
}

const TWO_32 = 2 ** 32;

/** 64 bits from a number: BigInt would allocate for each inode. Right for negatives too (two's complement). */
function set64(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / TWO_32);
  view.setUint32(at, value - high * TWO_32, true);
  view.setInt32(at + 4, high, true);
}

function get64(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * TWO_32 + view.getUint32(at, true);
}

/** i_xattr_icount: 4-byte units, the first standing for the header of 12 bytes. */
function xattrCount(bytes: number): number {
  return bytes === 0 ? 0 : (bytes - XATTR_HEADER_SIZE) / 4 + 1;
}

export function writeInode(view: DataView, at: number, inode: Inode): void {
  view.setUint16(at, INODE_EXTENDED | (inode.layout << 1), true);
  view.setUint16(at + 2, xattrCount(inode.xattrBytes), true);
  view.setUint16(at + 4, inode.mode, true);
  set64(view, at + 8, inode.size);
  view.setUint32(at + 16, inode.place, true);
  view.setUint32(at + 20, inode.nid, true);
  view.setUint32(at + 24, inode.uid, true);
  view.setUint32(at + 28, inode.gid, true);
  set64(view, at + 32, inode.seconds);
  view.setUint32(at + 40, inode.nanoseconds, true);
  view.setUint32(at + 44, inode.links, true);
}

export function readInode(bytes: Uint8Array, nid: number): Inode {
  const view = new DataView(bytes.buffer, bytes.byteOffset, INODE_SIZE);
  const count = view.getUint16(2, true);
  return {
    layout: (view.getUint16(0, true) >> 1) & 7,
    mode: view.getUint16(4, true),
    size: get64(view, 8),
    place: view.getUint32(16, true),
    nid,
    uid: view.getUint32(24, true),
    gid: view.getUint32(28, true),
    seconds: get64(view, 32),
    nanoseconds: view.getUint32(40, true),
    links: view.getUint32(44, true),
    xattrBytes: count === 0 ? 0 : XATTR_HEADER_SIZE + (count - 1) * 4,
  };
}

/** Major and minor in the kernel's 32-bit encoding (new_encode_dev): 12 and 20 bits. */
export function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}
