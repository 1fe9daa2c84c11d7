/**
 * One entry of a layer's tar, with nothing lost: names are bytes, ids are 32-bit, times have nanoseconds,
 * extended attributes are binary. pax(5), GNU tar's manual "Basic Tar Format", OCI Image Specification layer.md.
 */

export type EntryType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

export interface Timestamp {
  /** Seconds since 1970, negative before it. */
  readonly seconds: number;
  /** 0 … 999,999,999, always forward from `seconds`. */
  readonly nanoseconds: number;
}

export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** A stretch of a sparse file that holds data; what lies between is zeros. Ascending, not overlapping. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

export interface TarEntry {
  readonly type: EntryType;
  /**
   * Path from the layer's root as bytes: no leading `/` or `./`, no trailing `/`, no empty or `.` component.
   * The root itself is the empty path. A path with a `..` component never gets this far (UNSAFE_LAYER).
   */
  readonly path: Uint8Array;
  /** Permission bits with setuid, setgid and sticky: 0 … 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  /** Last access, where the tar tells it (PAX). */
  readonly atime?: Timestamp;
  /** Length of the file as readers see it, bytes (sparse files: with their holes); 0 unless `type` is file. */
  readonly size: number;
  /** Symlink: the target's bytes as they are. Hard link: a path of the same form as `path`. Else empty. */
  readonly linkname: Uint8Array;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  /** From PAX records, those reserved to union file systems already removed. Sorted by name. */
  readonly xattrs: readonly Xattr[];
  /** Present for sparse files: where the stored bytes belong, in the order in which they are stored. */
  readonly segments?: readonly Segment[];
  /** Offset of the entry's stored data in the raw tar, bytes; a multiple of 512. */
  readonly dataOffset: number;
  /** Bytes of stored data (a sparse file stores its segments only; PAX 1.0's map does not count). */
  readonly storedSize: number;
}
