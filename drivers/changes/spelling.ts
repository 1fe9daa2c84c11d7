/** How a tree says what is deleted: the one thing in which upper directories differ from driver to driver. */
import { type DirectoryEntry, readDirectoryFd } from '../../src/sys/at.ts';

/** A directory's listing with its driver's marks read. */
export interface Listing {
  readonly names: readonly ListedName[];
  /** Nothing of the parent's directory shows through. */
  readonly opaque: boolean;
}

export interface ListedName {
  readonly name: Buffer;
  readonly whiteout: boolean;
}

export interface Spelling {
  /**
   * `false`: a tree lies over its parent, what it does not name is unchanged. `true`: it holds everything, and what
   * it does not name is deleted.
   */
  readonly whole: boolean;
  /** Reads an open directory, in any order. */
  list(fd: number): Listing;
}

/** Trees without any marks (vfs, btrfs, a mounted snapshot). */
export const wholeTree: Spelling = {
  whole: true,
  list: (fd) => ({ names: readDirectoryFd(fd).map(plain), opaque: false }),
};

export function plain({ name }: DirectoryEntry): ListedName {
  return { name, whiteout: false };
}
