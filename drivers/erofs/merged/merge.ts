/**
 * A stack's images as one tree, as overlayfs would show it: whiteouts and opaque directories have done their work and
 * are gone, each directory has the names of all its layers. Only metadata is read.
 */
import { constants } from 'node:fs';
import type { Inode } from '../format/inode.ts';
import { LAYOUT_CHUNK_BASED, LAYOUT_FLAT_PLAIN, NULL_BLOCK } from '../format/layout.ts';
import { encodeXattrs } from '../format/xattr.ts';
import type { ImageReader } from '../read/image-reader.ts';
import { Arena } from '../tree/arena.ts';
import { DentryTable, DirectoryTable, InodeTable, type TreeTables } from '../tree/tables.ts';
import { DeviceMaps } from './device-maps.ts';
import { type Layer, looksFrom, mergeNames, type Part, partOf, shownOf } from './directory-parts.ts';

const { S_IFLNK, S_IFMT, S_IFREG } = constants;

export interface MergedTree extends TreeTables {
  readonly maps: DeviceMaps;
  /** The directories' rows, parents before children. */
  readonly order: readonly number[];
}

/** @param images of the stack's layers that show, top first; the first is device 1 */
export function mergeImages(images: readonly ImageReader[]): MergedTree {
  const merger = new Merger();
  merger.run(images.map((image, at) => ({ image, device: at + 1 })));
  return merger;
}

interface Pending {
  readonly row: number;
  readonly parts: readonly Part[];
}

class Merger implements MergedTree {
  readonly arena: Arena = new Arena();
  readonly inodes: InodeTable = new InodeTable();
  readonly dentries: DentryTable = new DentryTable();
  readonly directories: DirectoryTable = new DirectoryTable();
  readonly dotsAt: number = this.arena.add(Buffer.from('..'));
  readonly maps: DeviceMaps = new DeviceMaps(this.inodes);
  readonly order: number[] = [];
  readonly #links: number[] = [];
  /** Inode rows of files with several names in their layer, by device and slot. */
  readonly #linked: Map<string, number> = new Map();
  readonly #sharedXattrs: Map<string, number> = new Map();

  run(layers: readonly Layer[]): void {
    const root = layers.map((layer): Part => {
      const part = partOf(layer, layer.image.root);
      return { ...part, implicit: layer.image.note.implicitRoot };
    });
    const pending: Pending[] = [{ row: this.#directory(root, 0), parts: root }];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      this.order.push(next.row);
      pending.push(...this.#fill(next).reverse());
    }
    this.inodes.settle();
    this.inodes.links.set(this.#links);
  }

  /** Gives a directory its names; the directories among them. */
  #fill({ row, parts }: Pending): Pending[] {
    const below: Pending[] = [];
    let last = 0;
    for (const merged of mergeNames(parts)) {
      const shown = shownOf(merged);
      if (shown === undefined) continue;
      let inode: number;
      if ('inode' in shown) inode = this.#file(shown.layer, shown.inode);
      else {
        const directory = this.#directory(shown, row);
        below.push({ row: directory, parts: shown });
        inode = this.directories.inode[directory]!;
        this.#links[this.directories.inode[row]!]!++;
      }
      last = this.#name(row, last, merged.name, inode);
    }
    return below;
  }

  /** Adds a name behind `last`, the one before it in its directory. */
  #name(directory: number, last: number, name: Uint8Array, inode: number): number {
    const { dentries, directories } = this;
    const dentry = dentries.add();
    dentries.directory[dentry] = directory;
    dentries.nameAt[dentry] = this.arena.add(name);
    dentries.nameLength[dentry] = name.length;
    dentries.inode[dentry] = inode;
    if (last === 0) directories.first[directory] = dentry;
    else dentries.sibling[last] = dentry;
    return dentry;
  }

  #directory(parts: readonly Part[], parent: number): number {
    const { layer, inode } = looksFrom(parts);
    const row = this.directories.add();
    // The marks of overlayfs and our own are left out by the encoder.
    const own = this.#inode(inode, encodeXattrs(layer.image.xattrs(inode)).entries);
    this.directories.inode[row] = own;
    this.directories.parent[row] = parent;
    this.inodes.place[own] = row;
    this.#links[own] = 2;
    return row;
  }

  /** The row of what is no directory, the same for all names of one file. */
  #file({ image, device }: Layer, inode: Inode): number {
    const key = inode.links > 1 ? `${device}:${inode.nid}` : undefined;
    const known = key === undefined ? undefined : this.#linked.get(key);
    if (known !== undefined) {
      this.#links[known]!++;
      return known;
    }
    const row = this.#inode(inode, image.xattrEntries(inode));
    this.#links[row] = 1;
    if (key !== undefined) this.#linked.set(key, row);
    this.#place(row, { image, device }, inode);
    return row;
  }

  #place(row: number, { image, device }: Layer, inode: Inode): void {
    const { inodes, maps } = this;
    const type = inode.mode & S_IFMT;
    inodes.size[row] = inode.size;
    inodes.place[row] = type === S_IFLNK ? this.arena.add(image.target(inode)) : inode.place;
    if (type !== S_IFREG) return;
    if (inode.size === 0) inodes.place[row] = NULL_BLOCK;
    else {
      inodes.layout[row] = LAYOUT_CHUNK_BASED;
      if (inode.layout === LAYOUT_CHUNK_BASED) maps.addSparse(row, device, { image, inode });
      else maps.addWhole(row, device);
    }
  }

  #inode(from: Inode, xattrs: Uint8Array): number {
    const { inodes } = this;
    const row = inodes.add();
    inodes.layout[row] = LAYOUT_FLAT_PLAIN;
    inodes.mode[row] = from.mode;
    inodes.uid[row] = from.uid;
    inodes.gid[row] = from.gid;
    inodes.seconds[row] = from.seconds;
    inodes.nanoseconds[row] = from.nanoseconds;
    inodes.xattrs[row] = xattrs.length === 0 ? 0 : this.#storeXattrs(xattrs);
    return row;
  }

  /** Attributes are few: SELinux labels every file, with a handful of values. */
  #storeXattrs(entries: Uint8Array): number {
    if (entries.length > 512) return this.arena.addRecord(entries);
    const key = Buffer.from(entries).toString('latin1');
    const known = this.#sharedXattrs.get(key) ?? this.arena.addRecord(entries);
    if (this.#sharedXattrs.size < 4096) this.#sharedXattrs.set(key, known);
    return known;
  }
}
