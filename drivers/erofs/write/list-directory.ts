/** A settled directory's entries in the order of the format: children as sorted, `.` and `..` where they belong. */
import { constants } from 'node:fs';
import type { DirentList } from '../format/dirents.ts';
import { FT_BLOCK, FT_CHAR, FT_DIRECTORY, FT_FIFO, FT_FILE, FT_SYMLINK } from '../format/layout.ts';
import type { TreeTables } from '../tree/tables.ts';

const { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } = constants;

/** By the four bits of the mode's type. The kernel believes it, so it has to be right. */
const FILE_TYPES: Uint8Array = new Uint8Array(16);
for (const [mode, type] of [
  [S_IFREG, FT_FILE],
  [S_IFDIR, FT_DIRECTORY],
  [S_IFCHR, FT_CHAR],
  [S_IFBLK, FT_BLOCK],
  [S_IFIFO, FT_FIFO],
  [S_IFLNK, FT_SYMLINK],
] as const) {
  FILE_TYPES[mode >> 12] = type;
}

const DOT = 0x2e;

/** Whether a name sorts before `.` (dots = 1) or `..` (dots = 2). */
function sortsBefore(names: Uint8Array, at: number, length: number, dots: 1 | 2): boolean {
  const first = names[at]!;
  if (first !== DOT || dots === 1) return first < DOT;
  return length > 1 && names[at + 1]! < DOT;
}

function ascends(names: Uint8Array, a: number, aLength: number, b: number, bLength: number): boolean {
  const common = Math.min(aLength, bLength);
  for (let i = 0; i < common; i++) if (names[a + i] !== names[b + i]) return names[a + i]! < names[b + i]!;
  return aLength < bLength;
}

/**
 * Fills `list` from row `directory`. Slots are 0 as long as they are not settled. The kernel looks names up by
 * bisection and believes their order: out of it they would be listed and not be found, so it is looked at once more.
 */
export function listDirectory(tree: TreeTables, directory: number, list: DirentList): void {
  const { dentries, directories, inodes, arena } = tree;
  const names = arena.bytes;
  const own = inodes.nid[directories.inode[directory]!]!;
  const above = inodes.nid[directories.inode[directories.parent[directory]!]!]!;
  list.clear();
  let dots = 0;
  let before = -1;
  for (let dentry = directories.first[directory]!; dentry !== 0; dentry = dentries.sibling[dentry]!) {
    const at = dentries.nameAt[dentry]!;
    const length = dentries.nameLength[dentry]!;
    if (before >= 0 && !ascends(names, dentries.nameAt[before]!, dentries.nameLength[before]!, at, length)) {
      throw new Error('the names of a directory are out of order');
    }
    before = dentry;
    if (dots === 0 && !sortsBefore(names, at, length, 1)) pushDots(tree, list, ++dots, own);
    if (dots === 1 && !sortsBefore(names, at, length, 2)) pushDots(tree, list, ++dots, above);
    const inode = dentries.inode[dentry]!;
    list.push(inodes.nid[inode]!, FILE_TYPES[(inodes.mode[inode]! & S_IFMT) >> 12]!, at, length);
  }
  if (dots === 0) pushDots(tree, list, ++dots, own);
  if (dots === 1) pushDots(tree, list, 2, above);
}

function pushDots(tree: TreeTables, list: DirentList, dots: number, nid: number): void {
  list.push(nid, FT_DIRECTORY, tree.dotsAt, dots);
}
