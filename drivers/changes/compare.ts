/**
 * Finds what a snapshot has over its parent, by looking at both. A file counts as changed when a reader could tell:
 * by its type, mode, owner, time, attributes, links or content. So a file that was opened for writing and not
 * written to is no change, though overlayfs copied it up, and all drivers find the same.
 *
 * Deletions are spelt one by one, also in a directory that was replaced (OCI layer.md: "implementations SHOULD
 * generate layers using explicit whiteout files"): a driver without opaque directories could not know better.
 *
 * Order: a directory before its content, siblings by name bytes.
 */
import { openDirectoryAt, readDirectoryFd, type StatAt, statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import type { Change } from '../driver.ts';
import { readContent, readContentInto, sameContent, segmentsOf, storedSizeOf } from './content.ts';
import { collectLinks, type LinkGroup, type LinkGroups, withFile } from './links.ts';
import { entryOf, type Located, linkTo, sameMetadata, typeOf } from './metadata.ts';
import { joinPath, requireShallow } from './paths.ts';
import { type ListedName, type Spelling, wholeTree } from './spelling.ts';

/** What a driver knows of its copies, so that an unchanged tree need not be read; both may always say no. */
export interface Origin {
  /** The directory is the one that was made from the parent's at the same path. */
  sameDirectory(now: StatAt, parent: StatAt): boolean;
  /** Inside such a directory: nothing was done to this inode since. */
  untouched(now: StatAt, parent: StatAt): boolean;
}

export interface Trees {
  /** Open root directory of the snapshot's tree. */
  readonly treeFd: number;
  readonly spelling: Spelling;
  /** Open root directory of the parent as it is seen; undefined for none. */
  readonly parentFd: number | undefined;
  readonly origin?: Origin | undefined;
}

/** A directory and what is known of it. */
interface Pair {
  readonly path: Buffer;
  readonly fd: number;
  readonly parentFd: number | undefined;
  /** What it does not name is deleted. */
  readonly whole: boolean;
  readonly same: boolean;
  /** Its names are the parent's. */
  readonly untouched: boolean;
}

/** A change, or a moment to give way to others. */
export type Step = Change | undefined;

export class Comparison {
  readonly #trees: Trees;
  #links: LinkGroups | undefined;
  #parentLinks: LinkGroups | undefined;
  /** The change whose file may be opened: the descriptors it is reached by live no longer. */
  #current: object | undefined;
  #depth = 0;

  constructor(trees: Trees) {
    this.#trees = trees;
  }

  /** Everything below the root directory. */
  *content(): Generator<Step, void> {
    const { treeFd, parentFd, spelling } = this.#trees;
    const known = { whole: spelling.whole, same: true, untouched: false };
    const [fd, below] = [
      openDirectoryAt(treeFd, '.'),
      parentFd === undefined ? undefined : openDirectoryAt(parentFd, '.'),
    ];
    try {
      yield* this.#directory({ path: Buffer.alloc(0), fd, parentFd: below, ...known });
    } finally {
      closeFd(fd);
      if (below !== undefined) closeFd(below);
    }
  }

  *#directory(pair: Pair): Generator<Step, void> {
    requireShallow(++this.#depth);
    const listing = this.#trees.spelling.list(pair.fd);
    const here = { ...pair, whole: pair.whole || listing.opaque };
    for (const { name, whiteout } of sorted([...listing.names, ...missing(here, listing.names)])) {
      const below = pair.parentFd === undefined ? undefined : statAt(pair.parentFd, name);
      if (!whiteout) yield* this.#entry(here, name, below);
      else if (below) yield { kind: 'deleted', path: joinPath(pair.path, name) };
      yield;
    }
    this.#depth--;
  }

  *#entry(pair: Pair, name: Buffer, below: StatAt | undefined): Generator<Step, void> {
    const stat = statAt(pair.fd, name);
    if (!stat) return;
    const path = joinPath(pair.path, name);
    if (isDirectory(stat)) yield* this.#subdirectory(pair, name, path, below);
    else if (typeOf(stat) === undefined) {
      if (below && typeOf(below) !== undefined) yield { kind: 'deleted', path };
    } else yield* this.#file(pair, { parentFd: pair.fd, name, fd: -1, stat }, path, below);
  }

  *#subdirectory(pair: Pair, name: Buffer, path: Buffer, below: StatAt | undefined): Generator<Step, void> {
    const { origin } = this.#trees;
    const fd = openDirectoryAt(pair.fd, name);
    let parentFd: number | undefined;
    try {
      const stat = statAt(pair.fd, name);
      if (!stat) return;
      if (below && isDirectory(below)) parentFd = openDirectoryAt(pair.parentFd!, name);
      const now: Located = { parentFd: pair.fd, name, fd, stat };
      const same = below !== undefined && parentFd !== undefined && (origin?.sameDirectory(stat, below) ?? false);
      const untouched = same && below !== undefined && (origin?.untouched(stat, below) ?? false);
      if (parentFd === undefined || below === undefined) yield* this.#emit(now, path, below);
      else if (!untouched && !sameMetadata(now, { parentFd: pair.parentFd!, name, fd: parentFd, stat: below })) {
        yield* this.#emit(now, path, below);
      }
      yield* this.#directory({ path, fd, parentFd, whole: pair.whole, same, untouched });
    } finally {
      closeFd(fd);
      if (parentFd !== undefined) closeFd(parentFd);
    }
  }

  *#file(pair: Pair, now: Located, path: Buffer, below: StatAt | undefined): Generator<Step, void> {
    if (below && pair.same && (this.#trees.origin?.untouched(now.stat, below) ?? false)) return;
    if (now.stat.nlink > 1) {
      this.#links ??= yield* collectLinks(this.#trees.treeFd, this.#trees.spelling);
      const group = this.#links.get(now.stat.ino);
      if (group && group.paths.length > 1) {
        yield* this.#linked(group, now, path, below);
        return;
      }
    }
    if (below && !isDirectory(below)) {
      const before = { parentFd: pair.parentFd!, name: now.name, fd: -1, stat: below };
      const same = (yield* this.#sameFile(now, before)) && !(yield* this.#wasSplit(now.stat, path, below));
      if (same) return;
    }
    yield* this.#emit(now, path, below);
  }

  *#sameFile(now: Located, before: Located): Generator<undefined, boolean> {
    if (!sameMetadata(now, before)) return false;
    if (typeOf(now.stat) !== 'file' || now.stat.size === 0) return true;
    const sameInode = now.stat.ino === before.stat.ino && now.stat.fileSystem === before.stat.fileSystem;
    return sameInode || (yield* voided(sameContent(now, before)));
  }

  /** A group is stored whole, its first name with the content: a layer's links cannot reach into layers below. */
  *#linked(group: LinkGroup, now: Located, path: Buffer, below: StatAt | undefined): Generator<Step, void> {
    group.changed ??= this.#groupChanged(group, now);
    if (!group.changed) return;
    const [first] = group.paths;
    if (first?.equals(path)) yield* this.#emit(now, path, below);
    else if (first) yield { kind: below ? 'modified' : 'added', entry: linkTo(first, now, path) };
  }

  #groupChanged(group: LinkGroup, now: Located): boolean {
    const { parentFd } = this.#trees;
    if (parentFd === undefined) return true;
    const [first, ...others] = group.paths.map((path) => withFile(parentFd, path, ({ stat }) => stat.ino));
    if (first === undefined || others.some((inode) => inode !== first)) return true;
    const same = withFile(parentFd, group.paths[0]!, (before) => runToEnd(this.#sameFile(now, before)));
    return same !== true;
  }

  /** One name of several in the parent, alone now, while another of them is still there: the link was broken. */
  *#wasSplit(now: StatAt, path: Buffer, below: StatAt): Generator<undefined, boolean> {
    const { treeFd, parentFd, spelling } = this.#trees;
    if (now.nlink > 1 || below.nlink < 2 || parentFd === undefined) return false;
    this.#parentLinks ??= yield* collectLinks(parentFd, wholeTree);
    const others = this.#parentLinks.get(below.ino)?.paths.filter((other) => !other.equals(path)) ?? [];
    if (!spelling.whole) return others.length > 0;
    return others.some((other) => withFile(treeFd, other, () => true) === true);
  }

  *#emit(now: Located, path: Buffer, below: StatAt | undefined): Generator<Step, void> {
    const type = typeOf(now.stat);
    if (type === undefined) return;
    const kind = below ? 'modified' : 'added';
    const entry = entryOf(now, type, path);
    if (type !== 'file') {
      yield { kind, entry };
      return;
    }
    const segments = segmentsOf(now);
    const token = {};
    this.#current = token;
    const requireCurrent = (): void => {
      if (this.#current !== token) throw new TypeError('a change is read before the next one is asked for');
    };
    const open = (): AsyncGenerator<Uint8Array, void> => {
      requireCurrent();
      return readContent(now, segments);
    };
    const readInto = (target: Uint8Array): void => {
      requireCurrent();
      readContentInto(now, target);
    };
    yield segments
      ? { kind, entry: { ...entry, segments, storedSize: storedSizeOf(now.stat, segments) }, open }
      : { kind, entry, open, readInto };
    this.#current = undefined;
  }
}

function sorted(names: ListedName[]): ListedName[] {
  return names.sort((a, b) => Buffer.compare(a.name, b.name));
}

/** What the parent's directory has and a whole tree has not, as whiteouts. */
function missing({ whole, untouched, parentFd }: Pair, names: readonly ListedName[]): ListedName[] {
  if (!whole || untouched || parentFd === undefined) return [];
  const present = new Set(names.map(({ name }) => name.toString('latin1')));
  return readDirectoryFd(parentFd)
    .filter(({ name }) => !present.has(name.toString('latin1')))
    .map(({ name }) => ({ name, whiteout: true }));
}

function* voided<T>(work: Generator<unknown, T>): Generator<undefined, T> {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    yield undefined;
  }
}

function runToEnd<T>(work: Generator<unknown, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
