/**
 * A layer's entries as the tree they make, applied in the tar's order: a later entry replaces an earlier one of the
 * same name, a directory keeps its children when it is named again, a whiteout hides lower layers only.
 *
 * Entries without a parent get directories of mode 0755, owned by root, with time 0: a layer is stored without
 * looking at those below it, so it cannot know better (implicit parents).
 */
import { constants } from 'node:fs';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { TslayerError } from '../../../src/errors.ts';
import { LAYOUT_FLAT_PLAIN } from '../format/layout.ts';
import { encodeXattrs } from '../format/xattr.ts';
import { Arena } from './arena.ts';
import { checkIds, checkName } from './checks.ts';
import { NameIndex } from './names.ts';
import { placeOf } from './place.ts';
import { type DirectoryView, printable, resolveParent } from './resolve.ts';
import { SharedXattrs } from './shared-xattrs.ts';
import { SparseTable } from './sparse.ts';
import { DEAD, DentryTable, DirectoryTable, IMPLICIT, InodeTable, OPAQUE, put, type TreeTables } from './tables.ts';

const { S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT } = constants;

/** Row of the inode that all whiteouts share. */
export const WHITEOUT = 0;
const ROOT = 0;
const DIRECTORY_MODE = S_IFDIR | 0o755;

export class LayerTree implements TreeTables {
  readonly arena: Arena = new Arena();
  readonly inodes: InodeTable = new InodeTable();
  readonly dentries: DentryTable = new DentryTable();
  readonly directories: DirectoryTable = new DirectoryTable();
  readonly sparse: SparseTable = new SparseTable();
  readonly warnings: string[] = [];
  /** Arena offset of the name `..`, and so of `.` too. */
  readonly dotsAt: number = this.arena.add(Buffer.from('..'));
  /** Where the last file's stored data ends in the tar, bytes. */
  dataEnd = 0;
  readonly #names: NameIndex = new NameIndex(this.arena, this.dentries);
  readonly #maxNodes: number;
  readonly #xattrs: SharedXattrs = new SharedXattrs(this.arena);
  readonly #making: DirectoryView = this.#view((parent, path, start, end) => this.#implicit(parent, path, start, end));
  readonly #looking: DirectoryView = this.#view(() => undefined);
  /** The parent of the last entry, since its siblings tend to follow: `path[0 … nameAt)` and its row. */
  #lastParent: Uint8Array | undefined;
  #lastDirectory = 0;

  /** @param maxNodes names and inodes that the tree may have, implicit parents counted (LIMIT_EXCEEDED) */
  constructor(maxNodes: number) {
    this.#maxNodes = maxNodes;
    const whiteout = this.inodes.add();
    this.inodes.mode[whiteout] = S_IFCHR;
    this.#newDirectory(ROOT);
    this.directories.flags[ROOT] = IMPLICIT;
  }

  /** Takes one entry of the tar. */
  add(entry: TarEntry): void {
    if (entry.path.length === 0) {
      this.#addRoot(entry);
      return;
    }
    const { directory, nameAt } = this.#parent(entry.path);
    const target = entry.type === 'hardlink' ? this.#linkTarget(entry) : undefined;
    const dentry = this.#dentry(directory, entry.path, nameAt, entry.path.length);
    if (target !== undefined && this.#isInside(target.directory, dentry)) {
      // The directory that the link takes the place of goes first, with the file.
      throw linkError(entry, 'which goes with the directory that the link replaces');
    }
    const inode = target?.inode;
    if (inode !== undefined) this.#link(dentry, inode);
    else if (entry.type === 'directory') this.#setAttributes(this.#directoryAt(dentry), entry);
    else this.#replace(dentry, this.#newInode(entry));
  }

  /** Hides what lower layers have under this name; an entry of the name itself wins over it. */
  whiteout(path: Uint8Array): void {
    if (path.length === 0) throw new TslayerError('UNSAFE_LAYER', 'a whiteout of the root');
    const { directory, nameAt } = this.#parent(path);
    const found = this.#names.find(directory, path, nameAt, path.length);
    if (found === 0) this.#newDentry(directory, path, nameAt, path.length, WHITEOUT);
    else if (this.#isDirectory(found)) this.directories.flags[this.#directoryOf(found)]! |= OPAQUE;
  }

  /** The directory hides all that lower layers have in it. */
  opaque(path: Uint8Array): void {
    let row = ROOT;
    if (path.length > 0) {
      const { directory, nameAt } = this.#parent(path);
      const next = this.#making.step(directory, path, nameAt, path.length);
      if (typeof next !== 'number') {
        throw new TslayerError('MALFORMED', `${printable(path)}: opaque, but not a directory`);
      }
      row = next;
    }
    this.directories.flags[row]! |= OPAQUE;
  }

  /** Nothing is added from now on. */
  settle(): void {
    this.#names.drop();
    this.dentries.settle();
    this.inodes.settle();
  }

  /** Whether lower layers show through nowhere at all. */
  get opaqueRoot(): boolean {
    return (this.directories.flags[ROOT]! & OPAQUE) !== 0;
  }

  /** Whether some directory below the root is named by no entry of the tar. */
  get hasImplicit(): boolean {
    const { flags, count } = this.directories;
    for (let row = 1; row < count; row++) if ((flags[row]! & (IMPLICIT | DEAD)) === IMPLICIT) return true;
    return false;
  }

  /** Whether no entry of the tar speaks of the root. */
  get implicitRoot(): boolean {
    return (this.directories.flags[ROOT]! & IMPLICIT) !== 0;
  }

  #addRoot(entry: TarEntry): void {
    if (entry.type !== 'directory') throw new TslayerError('UNSAFE_LAYER', 'the root of a layer is not a directory');
    this.#setAttributes(ROOT, entry);
  }

  // Finding

  #parent(path: Uint8Array): { directory: number; nameAt: number } {
    const last = this.#lastParent;
    if (last !== undefined && sameParent(last, path)) return { directory: this.#lastDirectory, nameAt: last.length };
    const resolved = resolveParent(this.#making, path);
    this.#lastParent = path.slice(0, resolved.nameAt);
    this.#lastDirectory = resolved.directory;
    return resolved;
  }

  /** How paths walk this tree; `missing` says what to do where there is nothing. */
  #view(
    missing: (directory: number, path: Uint8Array, start: number, end: number) => number | undefined,
  ): DirectoryView {
    return {
      step: (directory, path, start, end) => {
        const dentry = this.#names.find(directory, path, start, end);
        if (dentry === 0 || this.dentries.inode[dentry] === WHITEOUT) return missing(directory, path, start, end);
        if (this.#isDirectory(dentry)) return this.#directoryOf(dentry);
        const inode = this.dentries.inode[dentry]!;
        if ((this.inodes.mode[inode]! & S_IFMT) !== S_IFLNK) return undefined;
        return this.arena.view(this.inodes.place[inode]!, this.inodes.size[inode]!);
      },
      parentOf: (directory) => this.directories.parent[directory]!,
    };
  }

  #implicit(parent: number, path: Uint8Array, start: number, end: number): number {
    const row = this.#directoryAt(this.#dentry(parent, path, start, end));
    this.directories.flags[row]! |= IMPLICIT;
    return row;
  }

  /** The inode that a hard link names. It must be of this layer and come before, as for every extractor. */
  #linkTarget(entry: TarEntry): { readonly directory: number; readonly inode: number } {
    const { linkname } = entry;
    const fail = (why: string) => linkError(entry, why);
    if (linkname.length === 0) throw fail('the root');
    const { directory, nameAt } = resolveParent(this.#looking, linkname);
    const dentry = this.#names.find(directory, linkname, nameAt, linkname.length);
    if (dentry === 0 || this.dentries.inode[dentry] === WHITEOUT) throw fail('which the layer does not have before it');
    if (this.#isDirectory(dentry)) throw fail('a directory');
    return { directory, inode: this.dentries.inode[dentry]! };
  }

  /** Whether a directory is the one of that name, or lies below it. */
  #isInside(directory: number, dentry: number): boolean {
    if (!this.#isDirectory(dentry)) return false;
    const above = this.#directoryOf(dentry);
    for (let row = directory; row !== ROOT; row = this.directories.parent[row]!) if (row === above) return true;
    return false;
  }

  // Changing

  #dentry(directory: number, path: Uint8Array, start: number, end: number): number {
    return this.#names.find(directory, path, start, end) || this.#newDentry(directory, path, start, end, undefined);
  }

  /** A name without an inode yet (`undefined`), or of the given one. */
  #newDentry(directory: number, path: Uint8Array, start: number, end: number, inode: number | undefined): number {
    checkName(path, start, end);
    const { dentries, directories } = this;
    const row = dentries.add();
    if (row > this.#maxNodes) throw new TslayerError('LIMIT_EXCEEDED', `more than ${this.#maxNodes} names in a layer`);
    dentries.directory[row] = directory;
    dentries.nameAt[row] = this.arena.addPart(path, start, end);
    dentries.nameLength[row] = end - start;
    dentries.inode[row] = inode ?? UNSET;
    dentries.sibling[row] = directories.first[directory]!;
    directories.first[directory] = row;
    this.#names.insert(row);
    return row;
  }

  #isDirectory(dentry: number): boolean {
    const inode = this.dentries.inode[dentry]!;
    return inode !== UNSET && (this.inodes.mode[inode]! & S_IFMT) === S_IFDIR;
  }

  #directoryOf(dentry: number): number {
    return this.inodes.place[this.dentries.inode[dentry]!]!;
  }

  /** The directory of that name, made where there is none. In place of anything else it hides what is below it. */
  #directoryAt(dentry: number): number {
    if (this.#isDirectory(dentry)) return this.#directoryOf(dentry);
    const fresh = this.dentries.inode[dentry] === UNSET;
    const row = this.#newDirectory(this.dentries.directory[dentry]!);
    this.#replace(dentry, this.directories.inode[row]!);
    if (!fresh) this.directories.flags[row]! |= OPAQUE;
    return row;
  }

  #newDirectory(parent: number): number {
    const { inodes, directories } = this;
    const inode = inodes.add();
    const row = directories.add();
    directories.inode[row] = inode;
    directories.parent[row] = parent;
    inodes.mode[inode] = DIRECTORY_MODE;
    inodes.place[inode] = row;
    return row;
  }

  #newInode(entry: TarEntry): number {
    const placed = placeOf(entry, this.arena, this.sparse);
    this.dataEnd = Math.max(this.dataEnd, entry.dataOffset + entry.storedSize);
    const { inodes } = this;
    const inode = inodes.add();
    put(inodes.layout, inode, placed.layout ?? LAYOUT_FLAT_PLAIN);
    put(inodes.place, inode, placed.place);
    put(inodes.size, inode, placed.size);
    this.#setInode(inode, entry, placed.type);
    return inode;
  }

  #setAttributes(directory: number, entry: TarEntry): void {
    this.directories.flags[directory]! &= ~IMPLICIT;
    this.#setInode(this.directories.inode[directory]!, entry, S_IFDIR);
  }

  #setInode(inode: number, entry: TarEntry, type: number): void {
    const { inodes } = this;
    checkIds(entry);
    // Linux knows no other mode of a link, whatever the tar says.
    inodes.mode[inode] = type | (type === S_IFLNK ? 0o777 : entry.mode & 0o7777);
    put(inodes.uid, inode, entry.uid);
    put(inodes.gid, inode, entry.gid);
    put(inodes.seconds, inode, entry.mtime.seconds);
    put(inodes.nanoseconds, inode, entry.mtime.nanoseconds);
    const { entries, refused } = encodeXattrs(entry.xattrs);
    put(inodes.xattrs, inode, entries.length === 0 ? 0 : this.#xattrs.store(entries));
    for (const name of refused)
      this.#warn(`${printable(entry.path)}: EROFS cannot hold the attribute ${printable(name)}`);
  }

  #warn(message: string): void {
    if (this.warnings.length < 20) this.warnings.push(message);
  }

  #link(dentry: number, inode: number): void {
    if (this.dentries.inode[dentry] !== inode) this.#replace(dentry, inode);
  }

  /** Puts an inode under a name; what was there goes, a directory with all that is in it. */
  #replace(dentry: number, inode: number): void {
    const { dentries } = this;
    const old = dentries.inode[dentry]!;
    if (old !== UNSET && old !== WHITEOUT) {
      // The parent found last may lie below what goes.
      this.#lastParent = undefined;
      if (this.#isDirectory(dentry)) this.directories.flags[this.#directoryOf(dentry)]! |= DEAD;
    }
    dentries.inode[dentry] = inode;
  }
}

function linkError({ path, linkname }: TarEntry, why: string): TslayerError {
  return new TslayerError('MALFORMED', `${printable(path)}: hard link to ${printable(linkname)}, ${why}`);
}

/** A name whose inode is not known yet. */
const UNSET = 0xffffffff;

function sameParent(parent: Uint8Array, path: Uint8Array): boolean {
  const { length } = parent;
  if (path.length <= length || path.indexOf(0x2f, length) !== -1) return false;
  for (let i = length - 1; i >= 0; i--) if (path[i] !== parent[i]) return false;
  return true;
}
