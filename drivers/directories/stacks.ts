/**
 * Directories that are made of whole stacks, and can be made again:
 *
 *   DIRECTORY/.stacks/HASH/       HASH stands for the stack and what the directory is for
 *   DIRECTORY/.stacks/HASH/stack  the stack, ids by spaces, top first
 *   DIRECTORY/.underway/stack-…/  one being made
 *
 * Caches: made when a stack is first mounted, removed with any layer of the stack.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrno } from '../../src/sys/libc.ts';
import { namesIn } from '../../src/sys/names-in.ts';
import type { LayerId, Stack } from '../driver.ts';
import { removeTree } from '../tree/remove.ts';
import type { Directories } from './directories.ts';
import { UNDERWAY } from './names.ts';

const STACKS = '.stacks';
/** The file that tells it. */
export const STACK = 'stack';
const UNNAMED = 'stack-';
const A_MINUTE_MS = 60_000;

/** Name below the driver's directory of what is made of a stack for a purpose. */
export function stackName(purpose: string, stack: Stack): string {
  const key = createHash('sha256')
    .update(`${purpose} ${stack.join(' ')}`)
    .digest('hex');
  return join(STACKS, key.slice(0, 32));
}

export function hasStack(directories: Directories, name: string): boolean {
  return existsSync(join(directories.path, name));
}

/** Makes a directory of a stack, `fill`ed and then named at once. */
export function makeStack(directories: Directories, name: string, stack: Stack, fill: (path: string) => void): void {
  const temporary = makeUnnamed(directories);
  try {
    fill(temporary);
    // Synced, and what was made before it with it: one that does not tell its stack would stay for ever.
    writeFileSync(join(temporary, STACK), stack.join(' '), { flush: true });
    mkdirSync(join(directories.path, STACKS), { recursive: true, mode: 0o700 });
    renameSync(temporary, join(directories.path, name));
  } catch (error) {
    discard(temporary);
    // Another process was faster: its directory is the same.
    if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Makes one to look at, and removes it. */
export async function tryStack<T>(
  directories: Directories,
  fill: (path: string) => void,
  look: (path: string) => Promise<T>,
): Promise<T> {
  const temporary = makeUnnamed(directories);
  try {
    fill(temporary);
    return await look(temporary);
  } finally {
    discard(temporary);
  }
}

function makeUnnamed(directories: Directories): string {
  return mkdtempSync(directories.underway(UNNAMED));
}

export function stackNames({ path }: Directories): string[] {
  return namesIn(join(path, STACKS)).map((name) => join(STACKS, name));
}

/** The layers that it was made of, none where it does not tell. */
export function stackOf({ path }: Directories, name: string): LayerId[] {
  try {
    return readFileSync(join(path, name, STACK), 'utf8').split(' ');
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** What those who remove have read: a layer after the other, where an image has many. */
const known = new WeakMap<Directories, Map<string, readonly LayerId[]>>();

/** Paths of what was made of all stacks that a layer is in. */
export function stacksWith(directories: Directories, id: LayerId): string[] {
  const before = known.get(directories);
  const stacks = new Map(
    stackNames(directories).map((name) => [name, before?.get(name) ?? stackOf(directories, name)] as const),
  );
  known.set(directories, stacks);
  return [...stacks].filter(([, stack]) => stack.includes(id)).map(([name]) => join(directories.path, name));
}

function discard(path: string): void {
  for (const _ of removeTree(path));
}

/** Removes what a crash left, if that is what has this name; what another process is at takes milliseconds. */
export function sweepStack(directory: string, name: string): void {
  if (!name.startsWith(UNNAMED)) return;
  const path = join(directory, UNDERWAY, name);
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat && Date.now() - stat.mtimeMs > A_MINUTE_MS) discard(path);
}
