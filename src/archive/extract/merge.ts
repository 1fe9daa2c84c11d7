/**
 * Puts a layer over the files of the layers below it. The layer is made by itself, in a directory beside them, and
 * moved into its place when it is whole: so its paths mean what they mean to a union file system, which knows a layer
 * by itself too. A link of a lower layer leads none of them elsewhere: `bin/tool` over `bin -> usr/bin` makes `bin` a
 * directory, as docker's overlay2, containerd's overlayfs and podman's overlay show it.
 *
 * Everything goes by descriptors and single names; nothing is looked up by a path.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodFd,
  chownFd,
  mkdirAt,
  O_DIRECTORY,
  O_NONBLOCK,
  O_RDONLY,
  openDirectoryAt,
  type StatAt,
} from '../../sys/at.ts';
import {
  type FoundTime,
  found,
  foundTime,
  listNames,
  openName,
  removeDirectoryName,
  renameName,
  setTimeOfOpen,
  statName,
  statOpen,
  unlinkName,
} from '../../sys/bulk-at.ts';
import { S_IFCHR, S_IFMT } from '../../sys/files.ts';
import { closeFd, errnos } from '../../sys/libc.ts';
import { AT_FDCWD } from '../../sys/mount-api.ts';
import { getXattrFd, listXattrsFd, removeXattrFd, setXattrFd } from '../../sys/xattr.ts';
import { isReservedXattr } from '../tar/xattrs.ts';
import { must } from './attributes.ts';

export interface MergeMarks {
  /** Whether there are any. */
  readonly marked: boolean;
  /** What lies in an opaque directory. */
  readonly opaqueName: Uint8Array;
  /** Directories that the layer implies, by path, one character a byte; '' is the root. */
  readonly implied: ReadonlySet<string>;
}

type Attributes = Pick<StatAt, 'mode' | 'uid' | 'gid'> & { readonly time: FoundTime };

/** The place beside the lower layers' files. */
export class LayerBeside implements Disposable {
  readonly path: string;
  readonly #below: number;
  readonly #fd: number;
  readonly #name: Uint8Array;
  #open = true;
  /** The time of the directory before we came. */
  readonly #before: FoundTime;

  /** @param directory of the lower layers' files */
  constructor(directory: string) {
    const name = `.tslayer-layer-${randomBytes(16).toString('hex')}`;
    this.#below = openDirectoryAt(AT_FDCWD, directory);
    this.#before = attributesOf(this.#below).time;
    mkdirAt(this.#below, name);
    this.#name = cName(Buffer.from(name));
    this.#fd = openDirectoryAt(this.#below, name);
    this.path = `${directory}/${name}`;
  }

  /** Moves everything to where it belongs; what is left are marks. */
  merge(marks: MergeMarks): void {
    const merge = new Merge(marks);
    // btrfs shows a descriptor what was there when it was opened.
    const fd = openDirectoryAt(this.#fd, '.');
    try {
      this.#mergeFrom(fd, merge, marks.implied.has(''));
    } finally {
      closeFd(fd);
    }
  }

  #mergeFrom(fd: number, merge: Merge, implied: boolean): void {
    const { time } = attributesOf(fd);
    if (merge.isOpaque(fd)) merge.clear(this.#below, this.#name);
    merge.directory(fd, this.#below, '');
    if (!implied) dress(this.#below, fd);
    merge.remove(this.#below, this.#name);
    must(setTimeOfOpen(this.#below, implied ? this.#before : time), 'set the time of', ROOT);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeFd(this.#fd);
    closeFd(this.#below);
  }
}

class Merge {
  readonly #marks: MergeMarks;
  readonly #opaqueName: Uint8Array;

  constructor(marks: MergeMarks) {
    this.#marks = marks;
    this.#opaqueName = cName(marks.opaqueName);
  }

  isOpaque(fd: number): boolean {
    return this.#marks.marked && statName(fd, this.#opaqueName) === 0;
  }

  /** Moves what is in `upper` to `lower`. */
  directory(upper: number, lower: number, path: string): void {
    for (const { name, type } of listNames(upper)) {
      if (type === 'directory') this.#subdirectory(upper, lower, name, path);
      else if (type === 'other' && this.#isMark(upper, name)) this.remove(lower, name);
      else this.#place(upper, lower, name);
    }
  }

  /** Removes everything in a directory but `keep`. */
  clear(fd: number, keep?: Uint8Array): void {
    for (const { name } of listNames(fd)) {
      if (keep === undefined || Buffer.compare(name, keep) !== 0) this.remove(fd, name);
    }
  }

  #subdirectory(upper: number, lower: number, name: Uint8Array, path: string): void {
    const [above, below] = [openDirectoryAt(upper, name.subarray(0, -1)), openName(lower, name, DIRECTORY)];
    try {
      if (below >= 0 && !this.isOpaque(above)) this.#over(above, below, joined(path, name));
      else {
        this.#place(upper, lower, name);
        if (this.#marks.marked) this.#unmark(above);
      }
    } finally {
      closeFd(above);
      if (below >= 0) closeFd(below);
    }
  }

  /** A directory that the layer names gets its looks; what it only implies is as the lower layers have it. */
  #over(above: number, below: number, path: string): void {
    const implied = this.#marks.implied.has(path);
    const { time } = attributesOf(implied ? below : above);
    this.directory(above, below, path);
    if (!implied) dress(below, above);
    must(setTimeOfOpen(below, time), 'set the time of', Buffer.from(path, 'latin1'));
  }

  #place(upper: number, lower: number, name: Uint8Array): void {
    let result = renameName(upper, name, lower);
    // A directory over something else, or the other way round.
    if (result === -errnos.EISDIR || result === -errnos.ENOTDIR || result === -errnos.ENOTEMPTY) {
      this.remove(lower, name);
      result = renameName(upper, name, lower);
    }
    must(result, 'move', name);
  }

  /** Removes a name with all that is in it. */
  remove(directory: number, name: Uint8Array): void {
    const result = unlinkName(directory, name);
    if (result === -errnos.ENOENT) return;
    if (result !== -errnos.EISDIR) {
      must(result, 'remove', name);
      return;
    }
    const fd = must(openName(directory, name, DIRECTORY), 'open', name);
    try {
      this.clear(fd);
    } finally {
      closeFd(fd);
    }
    must(removeDirectoryName(directory, name), 'remove', name);
  }

  /** Takes the marks out of a directory that nothing was below, and out of all in it. */
  #unmark(fd: number): void {
    const { time } = attributesOf(fd);
    let removed = false;
    for (const { name, type } of listNames(fd)) {
      if (type === 'directory') {
        const child = openDirectoryAt(fd, name.subarray(0, -1));
        this.#unmark(child);
        closeFd(child);
      } else if (type === 'other' && this.#isMark(fd, name)) {
        must(unlinkName(fd, name), 'remove', name);
        removed = true;
      }
    }
    if (removed) must(setTimeOfOpen(fd, time), 'set the time of', ROOT);
  }

  /** A device 0:0. No layer brings one: those are refused. */
  #isMark(directory: number, name: Uint8Array): boolean {
    if (!this.#marks.marked) return false;
    must(statName(directory, name), 'look at', name);
    return (found.mode & S_IFMT) === S_IFCHR && found.deviceMajor === 0 && found.deviceMinor === 0;
  }
}

const DIRECTORY = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
const ROOT = Buffer.from('.');

function attributesOf(fd: number): Attributes {
  must(statOpen(fd), 'look at', ROOT);
  return { mode: found.mode, uid: found.uid, gid: found.gid, time: foundTime() };
}

/** All attributes of one directory but its time to another; what that one had goes. */
function dress(fd: number, model: number): void {
  const { mode, uid, gid } = attributesOf(model);
  chownFd(fd, uid, gid);
  for (const name of listXattrsFd(fd)) if (isCarried(name)) removeXattrFd(fd, name);
  for (const name of listXattrsFd(model)) {
    const value = isCarried(name) ? getXattrFd(model, name) : undefined;
    if (value !== undefined) setXattrFd(fd, name, value);
  }
  chmodFd(fd, mode & 0o7777);
}

function isCarried(name: Uint8Array): boolean {
  const text = Buffer.from(name).toString('latin1');
  return !isReservedXattr(text) && text !== 'security.selinux';
}

function cName(name: Uint8Array): Uint8Array {
  return Buffer.concat([name, Buffer.of(0)]);
}

function joined(path: string, name: Uint8Array): string {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length - 1).toString('latin1');
  return path === '' ? text : `${path}/${text}`;
}
