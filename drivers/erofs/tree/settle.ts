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
  const order = nameOrder(tree);
  const live: number[] = [];
  let scratch = new Uint32Array(1024);
  for (let row = 0; row < directories.count; row++) {
    inherit(tree, row);
    if (directories.flags[row]! & DEAD) continue;
    live.push(row);
    scratch = settleDirectory(tree, row, order, scratch);
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

function settleDirectory(
  tree: LayerTree,
  row: number,
  order: NameOrder,
  scratch: Uint32Array<ArrayBuffer>,
): Uint32Array<ArrayBuffer> {
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
  directories.first[row] = relinked(tree, rows, count, order);
  inodes.links[directories.inode[row]!] = 2 + subdirectories;
  markForOverlay(tree, row, whiteouts > 0);
  return rows;
}

function doubled(rows: Uint32Array): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(rows.length * 2);
  grown.set(rows);
  return grown;
}

type NameOrder = (a: number, b: number) => number;

/** Of dentries, by the bytes of their names. One function for all directories: it is compiled once. */
function nameOrder({ dentries: { nameAt, nameLength }, arena }: LayerTree): NameOrder {
  return (a, b) => {
    // Anew each time: marks that are added meanwhile may move the arena, and what it was is gone then.
    const { bytes } = arena;
    const shift = nameAt[b]! - nameAt[a]!;
    const rest = nameLength[a]! - nameLength[b]!;
    const end = nameAt[a]! + (rest < 0 ? nameLength[a]! : nameLength[b]!);
    for (let i = nameAt[a]!; i < end; i++) {
      const difference = bytes[i]! - bytes[i + shift]!;
      if (difference !== 0) return difference;
    }
    return rest;
  };
}

/** Chains `count` dentries, the last one first or in any order, by their names; the first. */
function relinked({ dentries: { sibling } }: LayerTree, rows: Uint32Array, count: number, order: NameOrder): number {
  // Most tars are sorted already, and looking is cheaper than sorting.
  let sorted = true;
  for (let i = 1; sorted && i < count; i++) sorted = order(rows[i]!, rows[i - 1]!) < 0;
  if (!sorted) rows.subarray(0, count).sort((a, b) => order(b, a));
  let next = 0;
  for (let i = 0; i < count; i++) {
    sibling[rows[i]!] = next;
    next = rows[i]!;
  }
  return next;
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
