/**
 * Turns what the entries came to into what the image will say: children sorted by name, whiteouts dropped where
 * they hide nothing, links counted, overlayfs's own attributes added. Nothing may be added to the tree afterwards.
 */
import { constants } from 'node:fs';
import { IMPLICIT_ENTRY, OPAQUE_ENTRY, ORIGIN_ENTRY } from '../format/xattr.ts';
import { type LayerTree, WHITEOUT } from './layer-tree.ts';
import { DEAD, IMPLICIT, OPAQUE, SEALED } from './tables.ts';

const { S_IFDIR, S_IFMT } = constants;

export interface Settled {
  /** Rows of the directories that are left, parents before children. */
  readonly directories: Uint32Array;
  /** Inodes that some name leads to, the root among them. */
  readonly inodes: number;
}

export function settle(tree: LayerTree): Settled {
  tree.settle();
  const { directories, inodes } = tree;
  const live: number[] = [];
  let scratch = new Uint32Array(1024);
  for (let row = 0; row < directories.count; row++) {
    inherit(tree, row);
    if (directories.flags[row]! & DEAD) continue;
    live.push(row);
    scratch = settleDirectory(tree, row, scratch);
  }
  let count = 0;
  for (let inode = 0; inode < inodes.count; inode++) if (inodes.links[inode]! > 0) count++;
  return { directories: Uint32Array.from(live), inodes: count };
}

/** What lies in a dead directory is dead; what lies in an opaque one cannot be merged with anything. */
function inherit({ directories }: LayerTree, row: number): void {
  const above = row === 0 ? 0 : directories.flags[directories.parent[row]!]!;
  const own = directories.flags[row]!;
  const sealed = own & OPAQUE ? SEALED : above & SEALED;
  // In a sealed directory being opaque says nothing more.
  directories.flags[row] = (above & SEALED ? own & ~OPAQUE : own) | sealed | (above & DEAD);
}

function settleDirectory(tree: LayerTree, row: number, scratch: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const { dentries, directories, inodes } = tree;
  const sealed = (directories.flags[row]! & SEALED) !== 0;
  let rows = scratch;
  let count = 0;
  let whiteouts = 0;
  let subdirectories = 0;
  for (let dentry = directories.first[row]!; dentry !== 0; dentry = dentries.sibling[dentry]!) {
    const inode = dentries.inode[dentry]!;
    if (inode === WHITEOUT) {
      if (sealed) continue;
      whiteouts++;
    }
    if ((inodes.mode[inode]! & S_IFMT) === S_IFDIR) subdirectories++;
    else inodes.links[inode]!++;
    if (count === rows.length) rows = doubled(rows);
    rows[count++] = dentry;
  }
  directories.first[row] = relinked(tree, rows.subarray(0, count).reverse());
  inodes.links[directories.inode[row]!] = 2 + subdirectories;
  markForOverlay(tree, row, whiteouts > 0);
  return rows;
}

function doubled(rows: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(rows.length * 2);
  grown.set(rows);
  return grown;
}

/** Sorts dentries by name and chains them in that order; the first. */
function relinked({ dentries, arena }: LayerTree, rows: Uint32Array): number {
  const { nameAt, nameLength, sibling } = dentries;
  const { bytes } = arena;
  const compare = (a: number, b: number): number => {
    const [aAt, bAt] = [nameAt[a]!, nameAt[b]!];
    const [aLength, bLength] = [nameLength[a]!, nameLength[b]!];
    const common = Math.min(aLength, bLength);
    for (let i = 0; i < common; i++) {
      const difference = bytes[aAt + i]! - bytes[bAt + i]!;
      if (difference !== 0) return difference;
    }
    return aLength - bLength;
  };
  // Most tars are sorted already, and looking is cheaper than sorting.
  if (!isSorted(rows, compare)) rows.sort(compare);
  let next = 0;
  for (let i = rows.length - 1; i >= 0; i--) {
    sibling[rows[i]!] = next;
    next = rows[i]!;
  }
  return next;
}

function isSorted(rows: Uint32Array, compare: (a: number, b: number) => number): boolean {
  for (let i = 1; i < rows.length; i++) if (compare(rows[i - 1]!, rows[i]!) > 0) return false;
  return true;
}

/** The root needs no opaque mark: overlayfs does not look for one there, the driver cuts the stack instead. */
function markForOverlay(tree: LayerTree, row: number, hasWhiteouts: boolean): void {
  const flags = tree.directories.flags[row]!;
  const marks = [
    ...(row !== 0 && flags & OPAQUE ? [OPAQUE_ENTRY] : []),
    ...(hasWhiteouts ? [ORIGIN_ENTRY] : []),
    // In a sealed directory there is nothing below that could know better.
    ...(flags & IMPLICIT && !(flags & SEALED) ? [IMPLICIT_ENTRY] : []),
  ];
  if (marks.length === 0) return;
  const { inodes, arena } = tree;
  const inode = tree.directories.inode[row]!;
  const own = arena.record(inodes.xattrs[inode]!);
  const all = Buffer.concat([own, ...marks]);
  inodes.xattrs[inode] = arena.addRecord(all);
}
