/** One directory of a stack: what each layer has of it, the topmost first, and how their names become one list. */
import { constants } from 'node:fs';
import type { Inode } from '../format/inode.ts';
import { FT_CHAR, FT_DIRECTORY } from '../format/layout.ts';
import { overlayMark } from '../format/xattr.ts';
import type { DirectoryEntry, ImageReader } from '../read/image-reader.ts';

/** A layer's image and its number among the devices, from 1 on. */
export interface Layer {
  readonly image: ImageReader;
  readonly device: number;
}

/** A directory as one layer has it. */
export interface Part {
  readonly layer: Layer;
  readonly inode: Inode;
  /** No entry of the layer's tar names it: a layer below knows better what it looks like. */
  readonly implicit: boolean;
  /** Nothing of the layers below shows in it. */
  readonly opaque: boolean;
}

export function partOf(layer: Layer, inode: Inode): Part {
  const xattrs = layer.image.xattrs(inode);
  return { layer, inode, implicit: overlayMark(xattrs, 'implicit'), opaque: overlayMark(xattrs, 'opaque') };
}

/** Whom the directory takes its attributes from. */
export function looksFrom(parts: readonly Part[]): Part {
  return parts.find(({ implicit }) => !implicit) ?? parts[0]!;
}

/** One name of the merged directory: who has it, the topmost first. */
export interface MergedName {
  readonly name: Uint8Array;
  readonly holders: readonly Holder[];
}

interface Holder {
  readonly layer: Layer;
  readonly entry: DirectoryEntry;
}

/** All names in byte order. Each layer has its own sorted already. */
export function* mergeNames(parts: readonly Part[]): Generator<MergedName, void> {
  const lists = parts.map(({ layer, inode }) => ({ layer, entries: [...layer.image.entries(inode)], next: 0 }));
  for (;;) {
    let least: Uint8Array | undefined;
    let holders: Holder[] = [];
    let taken: { next: number }[] = [];
    for (const list of lists) {
      const entry = list.entries[list.next];
      if (entry === undefined) continue;
      const order = least === undefined ? -1 : Buffer.compare(entry.name, least);
      if (order > 0) continue;
      if (order < 0) [holders, taken] = [[], []];
      least = entry.name;
      holders.push({ layer: list.layer, entry });
      taken.push(list);
    }
    if (least === undefined) return;
    for (const list of taken) list.next++;
    yield { name: least, holders };
  }
}

/** What the stack shows under a name: nothing, a directory of several parts, or one layer's inode. */
export type Shown = readonly Part[] | { readonly layer: Layer; readonly inode: Inode } | undefined;

export function shownOf({ holders }: MergedName): Shown {
  const [top] = holders;
  if (top === undefined) return undefined;
  if (top.entry.type !== FT_DIRECTORY) {
    const inode = top.layer.image.inode(top.entry.nid);
    return top.entry.type === FT_CHAR && isWhiteout(inode) ? undefined : { layer: top.layer, inode };
  }
  const parts: Part[] = [];
  for (const { layer, entry } of holders) {
    // A whiteout, or any other thing in a directory's place, hides what is below.
    if (entry.type !== FT_DIRECTORY) break;
    const part = partOf(layer, layer.image.inode(entry.nid));
    parts.push(part);
    if (part.opaque) break;
  }
  return parts;
}

function isWhiteout({ mode, place }: Inode): boolean {
  return (mode & constants.S_IFMT) === constants.S_IFCHR && place === 0;
}
