/**
 * Lays the right looks over the directories that layers imply: a directory of nothing but these directories, dressed
 * as the topmost layer that names each of them, for the top of a stack's layers. Most stacks need none. Where a union
 * takes no layer more, they come in the place of the topmost one, with links of all that it has.
 *
 *   DIRECTORY/.looks-HASH/diff    the directories
 *   DIRECTORY/.looks-HASH/stack   the stack that it is for, ids by spaces
 *
 * A cache: made when a stack is first mounted, removed with any layer of the stack.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { findUser } from '../../src/mounts/users.ts';
import { statAt } from '../../src/sys/at.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import type { LayerId, Stack } from '../driver.ts';
import { linkTree } from '../tree/link.ts';
import { removeTree } from '../tree/remove.ts';
import type { Directories } from './directories.ts';
import { readImplied } from './implied.ts';
import { dressRoot, openDirectory } from './root.ts';

const PREFIX = '.looks-';
const STACK = 'stack';

/** How a layer's directory says that something of the layers below is hidden. Paths are bytes on disk. */
export interface Marks {
  isOpaque(directory: Buffer): boolean;
  /** Whether `path`, which may or may not be there, is hidden by this layer. */
  isWhiteout(path: Buffer): boolean;
}

export interface LooksContext {
  readonly directories: Directories;
  /** Where a layer keeps its files. */
  readonly part: string;
  readonly marks: Marks;
}

interface Layer {
  readonly id: LayerId;
  readonly files: string;
  readonly implied: ReadonlySet<string>;
}

export interface LooksRequest {
  /** The stack is shown without a snapshot on top, whose root is dressed when it is made. */
  readonly withRoot: boolean;
  /** Whether the union takes one layer more. */
  readonly room: boolean;
}

/** The stack with its directories' looks: names of directories, top first. The stack itself where they are right. */
export function withLooks(context: LooksContext, stack: Stack, request: LooksRequest): readonly string[] {
  const name = looksFor(context, stack, request);
  if (name === undefined) return stack;
  return [name, ...(request.room ? stack : stack.slice(1))];
}

/** Name of the directory for the top of the stack; undefined where every directory looks right already. */
function looksFor(context: LooksContext, stack: Stack, { withRoot, room }: LooksRequest): string | undefined {
  if (stack.length < 2) return undefined;
  const layers = stack.map((id) => layerOf(context, id));
  const implied = new Set(layers.flatMap((layer) => [...layer.implied]));
  if (!withRoot) implied.delete('');
  if (implied.size === 0) return undefined;
  const name = looksName(`${withRoot} ${room}`, stack);
  if (existsSync(join(context.directories.path, name))) return name;
  const wrong = [...implied].filter((directory) => modelOf(context.marks, layers, directory)?.shown === false);
  if (wrong.length === 0) return undefined;
  build(context, layers, wrong, { name, room });
  return name;
}

/** What is made of a whole stack has a name of its purpose and the stack. */
export function looksName(purpose: string, stack: Stack): string {
  const key = createHash('sha256')
    .update(`${purpose} ${stack.join(' ')}`)
    .digest('hex');
  return PREFIX + key.slice(0, 32);
}

/** Makes a directory of a stack, `fill`ed and then named at once. */
export function makeLooks(directories: Directories, name: string, stack: Stack, fill: (path: string) => void): void {
  const temporary = mkdtempSync(join(directories.path, '.new-looks-'));
  try {
    fill(temporary);
    // Synced, and what was made before it with it: looks that do not tell their stack would stay for ever.
    writeFileSync(join(temporary, STACK), stack.join(' '), { flush: true });
    renameSync(temporary, join(directories.path, name));
  } catch (error) {
    discard(temporary);
    // Another process was faster: its directory is the same.
    if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Removes the looks of all stacks that the layer is in. */
export function removeLooks(directories: Directories, id: LayerId): void {
  for (const path of looksWith(directories, id)) discard(path);
}

/**
 * To be asked before the layer is removed: a union may show looks that came in its place, and not the layer itself.
 * @throws TslayerError IN_USE
 */
export function requireLooksUnused(directories: Directories, id: LayerId): void {
  for (const path of looksWith(directories, id)) {
    const user = findUser(path);
    if (user) throw new TslayerError('IN_USE', `layer ${id} is mounted at ${user.mountPoint}`);
  }
}

/** The looks of all stacks that the layer is in: paths. */
export function looksWith({ path }: Directories, id: LayerId): string[] {
  return readdirSync(path)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => join(path, name))
    .filter((looks) => stackOf(looks).includes(id));
}

function stackOf(looks: string): string[] {
  try {
    return readFileSync(join(looks, STACK), 'utf8').split(' ');
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

function discard(path: string): void {
  for (const _ of removeTree(path));
}

function layerOf({ directories, part }: LooksContext, id: LayerId): Layer {
  return { id, files: directories.of(id, part), implied: readImplied(directories.of(id)) };
}

interface Model {
  /** The directory whose looks count. */
  readonly path: string | Buffer;
  /** Whether it is the one that a union shows anyway. */
  readonly shown: boolean;
}

/** Looks for a directory of the stack as the union would: top down, until something hides the rest. */
function modelOf(marks: Marks, layers: readonly Layer[], directory: string): Model | undefined {
  let top: Buffer | undefined;
  for (const { files, implied } of layers) {
    const path = diskPath(files, directory);
    const { found, goOn } = ask(marks, files, directory);
    if (found) {
      top ??= path;
      if (!implied.has(directory)) return { path, shown: top === path };
    }
    if (!goOn) break;
  }
  // Implied by every layer that has it: plain, as the topmost one is.
  return top && { path: top, shown: true };
}

/** What one layer says of a path: whether the directory is in it, and whether layers below may speak. */
function ask(marks: Marks, files: string, directory: string): { readonly found: boolean; readonly goOn: boolean } {
  const parts = directory === '' ? [] : directory.split('/');
  let goOn = true;
  for (let depth = 0; depth <= parts.length; depth++) {
    const path = diskPath(files, parts.slice(0, depth).join('/'));
    if (depth > 0 && marks.isWhiteout(path)) return { found: false, goOn: false };
    const stat = statAt(AT_FDCWD, path);
    if (!stat) return { found: false, goOn };
    // Any other thing in a directory's place hides what is below.
    if (!isDirectory(stat)) return { found: false, goOn: false };
    if (marks.isOpaque(path)) goOn = false;
  }
  return { found: true, goOn };
}

function diskPath(files: string, directory: string): Buffer {
  return Buffer.concat([Buffer.from(files), Buffer.from(directory === '' ? '' : `/${directory}`, 'latin1')]);
}

interface Build {
  readonly name: string;
  readonly room: boolean;
}

function build(context: LooksContext, layers: readonly Layer[], wrong: readonly string[], { name, room }: Build): void {
  const stack = layers.map(({ id }) => id);
  makeLooks(context.directories, name, stack, (path) => {
    const files = join(path, context.part);
    const sorted = [...new Set(wrong.flatMap(withParents))].sort();
    mkdirSync(files);
    if (!room) linkAll(layers[0]!.files, files);
    for (const directory of sorted) mkdirSync(diskPath(files, directory), { recursive: true });
    // The deepest first: what is made inside changes a directory's time.
    for (const directory of sorted.reverse()) {
      const model = modelOf(context.marks, layers, directory);
      dressRoot(diskPath(files, directory), model?.path);
    }
  });
}

/** Links of all that a layer has. */
export function linkAll(from: string, to: string): void {
  const [source, target] = [openDirectory(from), openDirectory(to)];
  try {
    linkTree(source, target);
  } finally {
    closeFd(source);
    closeFd(target);
  }
}

/** `a/b` → '', `a`, `a/b`. */
function withParents(directory: string): string[] {
  const parts = directory === '' ? [] : directory.split('/');
  return Array.from({ length: parts.length + 1 }, (_, length) => parts.slice(0, length).join('/'));
}

const A_MINUTE_MS = 60_000;

/** Removes what a crash left, if that is what has this name; what another process is at takes milliseconds. */
export function sweepLooks(path: string, name: string): void {
  if (!name.startsWith('.new-looks-')) return;
  const stat = statSync(join(path, name), { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > A_MINUTE_MS) discard(join(path, name));
}
