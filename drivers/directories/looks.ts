/**
 * Lays the right looks over the directories that layers imply: a directory of nothing but these directories, dressed
 * as the topmost layer that names each of them, for the top of a stack's layers. Most stacks need none. Where a union
 * takes no layer more, they come in the place of the topmost one, with links of all that it has.
 *
 *   DIRECTORY/.stacks/HASH/diff    the directories (stacks.ts)
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import type { LayerId, Stack } from '../driver.ts';
import { linkTree } from '../tree/link.ts';
import type { Directories } from './directories.ts';
import { readImplied } from './implied.ts';
import { dressRoot, openDirectory } from './root.ts';
import type { StackKind } from './stack-caches.ts';
import { hasStack, makeStack, stackName } from './stacks.ts';

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
function looksFor(context: LooksContext, stack: Stack, request: LooksRequest): string | undefined {
  const { directories } = context;
  const implied = impliedIn(context, stack, request);
  if (implied.size === 0) return undefined;
  const name = looksName(stack, request);
  if (hasStack(directories, name)) return name;
  const fill = fillLooks(context, stack, request);
  if (fill === undefined) return undefined;
  makeStack(directories, name, stack, fill);
  return name;
}

function looksName(stack: Stack, { withRoot, room }: LooksRequest): string {
  return stackName(`${withRoot} ${room}`, stack);
}

/** All that any layer implies, where there is a layer below. */
function impliedIn({ directories }: LooksContext, stack: Stack, { withRoot }: LooksRequest): Set<string> {
  const implied = new Set(stack.length < 2 ? [] : stack.flatMap((id) => [...readImplied(directories.of(id))]));
  if (!withRoot) implied.delete('');
  return implied;
}

/** How the looks of a stack are made; undefined where it needs none. */
function fillLooks(context: LooksContext, stack: Stack, request: LooksRequest): ((path: string) => void) | undefined {
  const layers = stack.map((id) => layerOf(context, id));
  const implied = [...impliedIn(context, stack, request)];
  const wrong = implied.filter((directory) => modelOf(context.marks, layers, directory)?.shown === false);
  return wrong.length === 0 ? undefined : (path) => build(context, layers, wrong, { path, room: request.room });
}

/** For the store's housekeeping. */
export function kindsOfLooks(context: LooksContext): StackKind[] {
  const both = [true, false];
  const requests = both.flatMap((withRoot) => both.map((room) => ({ withRoot, room })));
  return requests.map((request) => ({
    nameOf: (stack) => looksName(stack, request),
    fill: (stack) => fillLooks(context, stack, request),
  }));
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
  readonly path: string;
  readonly room: boolean;
}

function build(
  { part, marks }: LooksContext,
  layers: readonly Layer[],
  wrong: readonly string[],
  { path, room }: Build,
): void {
  const files = join(path, part);
  const sorted = [...new Set(wrong.flatMap(withParents))].sort();
  mkdirSync(files);
  if (!room) linkAll(layers[0]!.files, files);
  for (const directory of sorted) mkdirSync(diskPath(files, directory), { recursive: true });
  // The deepest first: what is made inside changes a directory's time.
  for (const directory of sorted.reverse()) {
    dressRoot(diskPath(files, directory), modelOf(marks, layers, directory)?.path);
  }
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
