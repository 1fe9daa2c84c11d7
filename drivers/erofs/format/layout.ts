/**
 * The numbers of the EROFS on-disk format that this driver uses.
 * Source: Linux, fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst. All fields are little-endian.
 */

/** Blocks of 512 bytes, the smallest EROFS knows, because tar aligns what it stores to 512. */
export const BLOCK_BITS = 9;
export const BLOCK_SIZE = 512;

/** The first 4096 bytes of an image hold nothing but the superblock; the raw tar follows. */
export const HEAD_SIZE = 4096;
export const SUPER_OFFSET = 1024;
export const SUPER_SIZE = 128;
export const SUPER_MAGIC = 0xe0f5e1e2;

/** Inodes are numbered by 32-byte slots from the start of the metadata area (the nid). */
export const SLOT_BITS = 5;
export const SLOT_SIZE = 32;

export const FEATURE_COMPAT_SB_CHKSUM = 0x1;
export const FEATURE_COMPAT_MTIME = 0x2;
export const FEATURE_INCOMPAT_CHUNKED_FILE = 0x4;
export const FEATURE_INCOMPAT_DEVICE_TABLE = 0x8;

/** Extended inodes: 64-bit size, 32-bit ids, time with nanoseconds. The compact kind has neither. */
export const INODE_SIZE = 64;
export const INODE_EXTENDED = 1;
export const LAYOUT_FLAT_PLAIN = 0;
export const LAYOUT_FLAT_INLINE = 2;
export const LAYOUT_CHUNK_BASED = 4;

/** Block address of what has no block: holes, empty files. */
export const NULL_BLOCK = 0xffffffff;

/** Chunk format: the low five bits are log2(blocks in a chunk); this flag means 8-byte indexes with a device id. */
export const CHUNK_INDEXES = 0x20;
export const CHUNK_MAX_BITS = 31;
export const CHUNK_ADDRESS_SIZE = 4;
export const CHUNK_INDEX_SIZE = 8;

export const DIRENT_SIZE = 12;
export const NAME_MAX = 255;
/** PATH_MAX less its NUL: the longest target that symlink(2) takes. */
export const SYMLINK_MAX = 4095;

export const XATTR_HEADER_SIZE = 12;
export const XATTR_ENTRY_SIZE = 4;
export const XATTR_NAME_MAX = 255;
export const XATTR_VALUE_MAX = 65_535;
/** i_xattr_icount is 16 bits of 4-byte units, the first of which stands for the header of 12. */
export const XATTR_BODY_MAX: number = XATTR_HEADER_SIZE + (0xffff - 1) * 4;

export const DEVICE_SLOT_SIZE = 128;

/** File types of directory entries (the kernel's FT_*). */
export const FT_FILE = 1;
export const FT_DIRECTORY = 2;
export const FT_CHAR = 3;
export const FT_BLOCK = 4;
export const FT_FIFO = 5;
export const FT_SYMLINK = 7;

/** Rounds up to a power of two. Not by bit operations: sizes exceed 32 bits. */
export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}
