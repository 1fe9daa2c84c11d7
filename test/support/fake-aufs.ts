/**
 * A kernel with AUFS, as far as files can play it: takes the strings of mount(2) as AUFS' option parser does, with its
 * limits, and shows what the union of the branches would show. Written from the facts that were measured on a real
 * one, not from the driver, so that the two can disagree.
 */
import { linkSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dressRoot } from '../../drivers/directories/root.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { joinParameters, parseOptions } from '../../src/mounts/options.ts';

/** What the call would have answered; `panic` for what brings the machine down. */
export class FakeErrno extends Error {
  override readonly name = 'FakeErrno';
  readonly code: string;

  constructor(code: string, why: string) {
    super(`${code}: ${why}`);
    this.code = code;
  }
}

const DATA_BYTES = 4095;
const MAX_OPTIONS = 84;
const MAX_BRANCHES = 127;
const BARE = new Set(['dio', 'nodio', 'dirperm1', 'nodirperm1', 'acl', 'noacl', 'plink', 'sum', 'shwh', 'noxino']);
const ACCESS = /^(rw|ro)(\+(wh|icex|nolwh|moo))*$/;

interface Branch {
  readonly path: string;
  readonly access: string;
}

/** The state of one union; `mount` and its remounts, in order. */
export class FakeAufs {
  branches: Branch[] = [];
  /** As many calls as were made. */
  calls = 0;

  mount(mounts: readonly Mount[]): void {
    for (const mount of mounts) {
      if (mount.type !== 'aufs') throw new FakeErrno('ENODEV', `${mount.type} is not AUFS`);
      const { remount, parameters } = parseOptions(mount);
      if (remount !== this.calls > 0) throw new FakeErrno('EINVAL', 'a remount of nothing, or a mount over it');
      this.calls++;
      // The kernel copies a page and cuts it: what is cut is no error, and is what tests must find missing.
      const data = Buffer.from(joinParameters(parameters)).subarray(0, DATA_BYTES).toString();
      this.#parse(data, remount);
    }
  }

  #parse(data: string, remount: boolean): void {
    const options = data.split(',');
    const counted = options.reduce(
      (sum, option) => sum + (option.startsWith('br:') ? option.split(':').length - 1 : 1),
      0,
    );
    if (options.some((option) => option.startsWith('br:') && option.split(':').length - 1 > MAX_OPTIONS)) {
      throw new FakeErrno('panic', 'a br: list of 85 branches or more');
    }
    if (counted > MAX_OPTIONS) throw new FakeErrno('E2BIG', `${counted} options in one call`);
    const before = [...this.branches];
    try {
      for (const option of options) this.#option(option, remount);
    } catch (error) {
      // All of a call, or nothing.
      this.branches = before;
      throw error;
    }
    if (this.branches.length === 0) throw new FakeErrno('EINVAL', 'a union of nothing');
  }

  #option(option: string, remount: boolean): void {
    if (option.startsWith('br:') && !remount) for (const text of option.slice(3).split(':')) this.#add(text);
    else if (option.startsWith('append:') && remount) this.#add(option.slice('append:'.length));
    else if (option.startsWith('xino=') && !remount) this.#xino(option.slice('xino='.length));
    else if (!BARE.has(option) || remount) throw new FakeErrno('EINVAL', `unknown option ${option}`);
  }

  #add(text: string): void {
    const [path = '', access = '', more] = text.split('=');
    if (more !== undefined || !ACCESS.test(access)) throw new FakeErrno('EINVAL', `branch ${text}`);
    if (!path.startsWith('/') || !statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
      throw new FakeErrno('EINVAL', `no directory ${path}`);
    }
    const overlaps = (one: string, other: string): boolean => `${one}/`.startsWith(`${other}/`);
    if (this.branches.some((branch) => overlaps(branch.path, path) || overlaps(path, branch.path))) {
      throw new FakeErrno('EINVAL', `${path} overlaps another branch`);
    }
    if (this.branches.length === MAX_BRANCHES) throw new FakeErrno('ENOSPC', 'the 128th branch');
    this.branches.push({ path, access });
  }

  #xino(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false })) throw new FakeErrno('EEXIST', path);
    lstatSync(path.slice(0, path.lastIndexOf('/')));
  }

  /** Makes `target`, an empty directory on the branches' file system, look as the union does. */
  showAt(target: string): void {
    const [top] = this.branches;
    show(
      this.branches.map(({ path, access }) => ({ path: Buffer.from(path), hides: access !== 'ro' })),
      Buffer.from(target),
      true,
    );
    if (top) dressRoot(target, top.path);
  }
}

interface Part {
  readonly path: Buffer;
  /** `ro` without `+wh` ignores a branch's whiteouts. */
  readonly hides: boolean;
}

const PREFIX = '.wh.';
const OWN_PREFIX = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';
const MAX_NAME = 242;

function below(directory: Buffer, name: string): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), Buffer.from(name, 'latin1')]);
}

/** One directory of the union, made of a directory of each branch, top first. */
function show(parts: readonly Part[], target: Buffer, isRoot: boolean): void {
  const gone = new Set<string>();
  const found = new Map<string, Part[]>();
  for (const part of isRoot ? parts : shown(parts)) {
    const names = namesIn(part);
    const whiteouts = part.hides ? names.filter((name) => name.startsWith(PREFIX) && !name.startsWith(OWN_PREFIX)) : [];
    for (const name of names) if (!name.startsWith(PREFIX)) look(part, name, names);
    for (const name of whiteouts) {
      if (!lstatSync(below(part.path, name)).isFile()) throw new FakeErrno('EIO', `${name} is no regular file`);
      gone.add(name.slice(PREFIX.length));
    }
  }
  for (const [name, sources] of found) make(sources, below(target, name));

  function look(part: Part, name: string, names: readonly string[]): void {
    if (gone.has(name)) return;
    if (names.includes(PREFIX + name)) throw new FakeErrno('EIO', `${name} beside its whiteout`);
    if (name.length > MAX_NAME) throw new FakeErrno('ENAMETOOLONG', name);
    const path = below(part.path, name);
    const known = found.get(name);
    if (!known) {
      found.set(name, [{ ...part, path }]);
      // A file is all that is seen.
      if (!lstatSync(path).isDirectory()) gone.add(name);
    } else if (lstatSync(path).isDirectory()) known.push({ ...part, path });
    // A file below a directory is passed over: it hides nothing.
  }
}

/** Down to an opaque directory; of several marks the lowest counts. */
function shown(parts: readonly Part[]): readonly Part[] {
  const last = parts.findLastIndex((part) => part.hides && namesIn(part).includes(OPAQUE));
  return last === -1 ? parts : parts.slice(0, last + 1);
}

const namesIn = ({ path }: Part): string[] => readdirSync(path, 'buffer').map((name) => name.toString('latin1'));

function make(sources: readonly Part[], target: Buffer): void {
  const [top] = sources;
  if (!top) return;
  if (!lstatSync(top.path).isDirectory()) {
    // The same file under the same names: content, attributes and hard links are the branch's.
    linkSync(top.path, target);
    return;
  }
  mkdirSync(target);
  show(sources, target, false);
  dressRoot(target, top.path);
}
