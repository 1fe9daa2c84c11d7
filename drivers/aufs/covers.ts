/**
 * Closes the gaps of a stack (gaps.ts): a branch of nothing but whiteouts right above a layer; where the union takes
 * no more branches, links of all that the layer has, with the whiteouts in it.
 *
 *   DIRECTORY/.looks-HASH/above-N/diff      above the stack's layer N, 0 being the top
 *   DIRECTORY/.looks-HASH/instead-N/diff    in its place
 *
 * Kept as the looks of a stack are, also where there is no gap and nothing but the stack's name is in it.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { chmodFd, mkdirAt, O_CREAT, O_WRONLY, openAt, openDirectoryAt, renameAt, statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { namesIn } from '../../src/sys/names-in.ts';
import { whiteoutNameOf } from '../changes/aufs.ts';
import type { Directories } from '../directories/directories.ts';
import { linkAll, looksName, makeLooks } from '../directories/looks.ts';
import { openDirectory } from '../directories/root.ts';
import type { Stack } from '../driver.ts';
import { removeTree } from '../tree/remove.ts';
import { findGaps, type Gap } from './gaps.ts';
import { DIFF } from './places.ts';

const BRANCH = /^(above|instead)-(\d+)$/;

/** By the layer's place in the stack: what is mounted above it or instead. Names below the driver's directory. */
export type Covers = ReadonlyMap<number, { readonly name: string; readonly instead: boolean }>;

/** @param room for how many more branches the union has room */
export function coversOf(directories: Directories, stack: Stack, room: number): Covers {
  if (stack.length < 2) return new Map();
  const name = looksName('covers', stack);
  if (!existsSync(join(directories.path, name))) {
    const paths = placesOf(findGaps(stack.map((id) => directories.of(id, DIFF))));
    const kind = paths.size > room ? 'instead' : 'above';
    makeLooks(directories, name, stack, (path) => {
      for (const [layer, hidden] of paths) {
        const files = kind === 'above' ? undefined : directories.of(stack[layer]!, DIFF);
        cover(join(path, `${kind}-${layer}`), hidden, files);
      }
    });
  }
  return readCovers(directories, name);
}

function readCovers({ path }: Directories, name: string): Covers {
  const covers = new Map<number, { name: string; instead: boolean }>();
  for (const entry of namesIn(join(path, name))) {
    const [, kind, layer] = BRANCH.exec(entry) ?? [];
    if (layer !== undefined) covers.set(Number(layer), { name: join(name, entry), instead: kind === 'instead' });
  }
  return covers;
}

/** As few branches as can be: what is to be hidden above which layer. */
function placesOf(gaps: readonly Gap[]): Map<number, Buffer[]> {
  const places = new Map<number, Buffer[]>();
  let last = -1;
  for (const { path, from, to } of [...gaps].sort((a, b) => a.to - b.to)) {
    if (last < from) last = to;
    const hidden = places.get(last) ?? [];
    hidden.push(path);
    places.set(last, hidden);
  }
  return places;
}

/** @param layer the files that the branch takes the place of */
function cover(branch: string, hidden: readonly Buffer[], layer: string | undefined): void {
  const [files, replaced] = [join(branch, DIFF), join(branch, 'replaced')];
  for (const path of [files, replaced]) mkdirSync(path, { recursive: true });
  if (layer !== undefined) linkAll(layer, files);
  const [root, trash] = [openDirectory(files), openDirectory(replaced)];
  try {
    // Without `dirperm1` what one of the branches forbids is forbidden; what this one allows never counts.
    if (layer === undefined) chmodFd(root, 0o777);
    for (const [at, path] of hidden.entries()) hide(root, path, trash, `${at}`);
  } finally {
    closeFd(root);
    closeFd(trash);
  }
  for (const _ of removeTree(replaced));
}

/** Puts a whiteout in the place of `path`; what is there goes to the trash. */
function hide(root: number, path: Buffer, trash: number, trashName: string): void {
  let fd = root;
  let start = 0;
  try {
    for (let slash = path.indexOf(0x2f); slash !== -1; slash = path.indexOf(0x2f, start)) {
      const next = enter(fd, path.subarray(start, slash));
      if (fd !== root) closeFd(fd);
      fd = next;
      start = slash + 1;
    }
    const name = path.subarray(start);
    if (statAt(fd, name)) renameAt(fd, name, trash, trashName);
    closeFd(openAt(fd, whiteoutNameOf(name), O_WRONLY | O_CREAT, 0o444));
  } finally {
    if (fd !== root) closeFd(fd);
  }
}

function enter(fd: number, name: Buffer): number {
  if (statAt(fd, name)) return openDirectoryAt(fd, name);
  mkdirAt(fd, name);
  const made = openDirectoryAt(fd, name);
  chmodFd(made, 0o777);
  return made;
}
