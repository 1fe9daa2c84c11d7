/**
 * No whiteouts at all: the directory holds what lower layers left, and what the layer hides is deleted. A whiteout
 * speaks of lower layers only, in whatever order the tar has them, so that what this layer made must be told from
 * what was there before; names are remembered by their directory's inode, which no link can disguise.
 */
import {
  O_DIRECTORY,
  O_RDONLY,
  openAt,
  openDirectoryAt,
  readDirectoryFd,
  rmdirAt,
  type StatAt,
  statAt,
  statFd,
  unlinkAt,
} from '../../sys/at.ts';
import { closeFd } from '../../sys/libc.ts';
import { openPath, setModeFd, setOwnerFd } from '../../sys/make-files.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { isDirectory } from '../../sys/walk.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../sys/xattr.ts';
import { sameBytes } from '../tar/bytes.ts';
import { must } from './attributes.ts';
import { isMissingParent, look } from './look.ts';
import { NameSet } from './name-set.ts';
import { type Extraction, inside, join, nameOf, parentOf, Spelling } from './spelling.ts';
import { DirectoryTimes } from './times.ts';

const DEFAULT_ACL = 'system.posix_acl_default';
const S_ISGID = 0o2000;

export class ApplySpelling extends Spelling {
  readonly #extraction: Extraction;
  readonly #made: NameSet = new NameSet();
  /** Directories whose own times were put down, by inode. */
  readonly #touched: Set<bigint> = new Set();
  /** Times that lower directories get back: a changeset that does not name them does not change them. */
  readonly #times: DirectoryTimes = new DirectoryTimes();
  /** Default ACLs taken away meanwhile, so that the layer's files do not inherit them; by inode. */
  readonly #acls: Map<bigint, { readonly path: Uint8Array; readonly value: Uint8Array }> = new Map();
  #parent: Uint8Array | undefined;
  #parentInode = 0;
  #inheritsGroup = false;

  constructor(extraction: Extraction) {
    super();
    this.#extraction = extraction;
  }

  override get inheritsGroup(): boolean {
    return this.#inheritsGroup;
  }

  override before(path: Uint8Array): void {
    const parent = parentOf(path);
    if (this.#parent !== undefined && sameBytes(parent, this.#parent)) return;
    let fd = openPath(inside(parent));
    if (isMissingParent(fd)) {
      this.#extraction.ensureParents(path);
      fd = openPath(inside(parent));
    }
    must(fd, 'open', parent);
    try {
      const stat = statFd(fd);
      this.#touch(parent, stat);
      this.#parent = Uint8Array.from(parent);
      this.#parentInode = Number(stat.ino);
      this.#inheritsGroup = (stat.mode & S_ISGID) !== 0;
    } finally {
      closeFd(fd);
    }
  }

  override after(path: Uint8Array, isDirectory: boolean): void {
    this.#made.add(this.#parentInode, nameOf(path));
    if (!isDirectory || this.#acls.size === 0) return;
    // The entry says what ACL the directory has.
    const found = look(path);
    if (found !== undefined) this.#acls.delete(found.ino);
  }

  override whiteout(path: Uint8Array): void {
    const parent = inside(parentOf(path));
    if (openAndClose(parent) && look(path) !== undefined) {
      this.before(path);
      this.#in(parent, (fd) => this.#removeLower(fd, this.#parentInode, nameOf(path), path));
    }
  }

  override opaque(path: Uint8Array): void {
    this.#extraction.ensureDirectory(path);
    this.#in(inside(path), (fd) => {
      const stat = statFd(fd);
      this.#touch(path, stat);
      for (const { name } of readDirectoryFd(fd)) this.#removeLower(fd, Number(stat.ino), name, join(path, name));
    });
  }

  override finish(): void {
    for (const { path, value } of this.#acls.values()) setXattr(inside(path), DEFAULT_ACL, value);
    this.#times.apply();
  }

  /** Removes what lower layers have under this name; true when something of this layer stays. */
  #removeLower(dirFd: number, dirInode: number, name: Uint8Array, path: Uint8Array): boolean {
    const stat = statAt(dirFd, name);
    if (stat === undefined) return false;
    const made = this.#made.has(dirInode, name);
    if (!isDirectory(stat)) {
      if (!made) unlinkAt(dirFd, name);
      return made;
    }
    const fd = openDirectoryAt(dirFd, name);
    let kept = made;
    try {
      this.#touch(path, stat);
      for (const child of readDirectoryFd(fd)) {
        if (this.#removeLower(fd, Number(stat.ino), child.name, join(path, child.name))) kept = true;
      }
      if (kept && !made) this.#strip(fd, path);
    } finally {
      closeFd(fd);
    }
    if (!kept) rmdirAt(dirFd, name);
    return kept;
  }

  /** The lower directory is gone; what is left of it is one that this layer implies. */
  #strip(fd: number, path: Uint8Array): void {
    must(setOwnerFd(fd, 0, 0), 'chown', path);
    must(setModeFd(fd, 0o755), 'chmod', path);
    for (const name of listXattrs(inside(path))) {
      if (name.toString('latin1') !== 'security.selinux') removeXattr(inside(path), name);
    }
    this.#acls.delete(statFd(fd).ino);
    this.#times.add(Uint8Array.from(inside(path)), { seconds: 0, nanoseconds: 0 });
  }

  #in(directory: Uint8Array, action: (fd: number) => void): void {
    const fd = openAt(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY);
    try {
      action(fd);
    } finally {
      closeFd(fd);
    }
  }

  /** Puts down what a change in the directory, or its default ACL, would change elsewhere. */
  #touch(directory: Uint8Array, stat: StatAt): void {
    if (this.#touched.has(stat.ino)) return;
    this.#touched.add(stat.ino);
    const path = Uint8Array.from(inside(directory));
    this.#times.add(path, { seconds: stat.mtimeSeconds, nanoseconds: stat.mtimeNanoseconds });
    const value = getXattr(path, DEFAULT_ACL);
    if (value === undefined) return;
    this.#acls.set(stat.ino, { path: Uint8Array.from(directory), value });
    removeXattr(path, DEFAULT_ACL);
  }
}

function openAndClose(path: Uint8Array): boolean {
  const fd = openPath(path);
  if (fd >= 0) closeFd(fd);
  return fd >= 0;
}
