/**
 * Closes the gaps of a stack (gaps.ts): a branch of nothing but whiteouts right above a layer; where the union takes
 * no more branches, links of all that the layer has, with the whiteouts in it.
 *
 *   DIRECTORY/.stacks/HASH/above-N/diff      above the stack's layer N, 0 being the top
 *   DIRECTORY/.stacks/HASH/instead-N/diff    in its place
 *
 * Kept as the looks of a stack are, also where there is no gap and nothing but the stack's name is in it.
 */
import { mkdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import {
  chmodFd,
  mkdirAt,
  O_CREAT,
  O_WRONLY,
  openAt,
  openDirectoryAt,
  renameAt,
  setTimesAt,
  setTimesOf,
  statAt,
  statFd,
} from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { namesIn } from '../../src/sys/names-in.ts';
import { whiteoutNameOf } from '../changes/aufs.ts';
import type { Directories } from '../directories/directories.ts';
import { linkAll } from '../directories/looks.ts';
import { openDirectory } from '../directories/root.ts';
import type { StackKind } from '../directories/stack-caches.ts';
import { hasStack, makeStack, stackName } from '../directories/stacks.ts';
import type { Stack } from '../driver.ts';
import { removeTree } from '../tree/remove.ts';
import { findGaps } from './gaps.ts';
import { DIFF } from './places.ts';

const BRANCH = /^(above|instead)-(\d+)$/;

/** By the layer's place in the stack: what is mounted above it or instead. Names below the driver's directory. */
export type Covers = ReadonlyMap<number, { readonly name: string; readonly instead: boolean }>;

/** @param room for how many more branches the union has room */
export function coversOf(directories: Directories, stack: Stack, room: number): Covers {
  if (stack.length < 2) return new Map();
  const name = coversName(stack);
  if (!hasStack(directories, name)) {
    const places = placesIn(directories, stack);
    makeStack(directories, name, stack, fillCovers(directories, stack, places, places.size > room));
  }
  return readCovers(directories, name);
}

function coversName(stack: Stack): string {
  return stackName('covers', stack);
}

/** For the store's housekeeping. */
export function kindOfCovers(directories: Directories): StackKind {
  return {
    nameOf: coversName,
    fill: (stack, name) => {
      // How much room there was is known no more.
      const instead = [...readCovers(directories, name).values()].some((one) => one.instead);
      return fillCovers(directories, stack, placesIn(directories, stack), instead);
    },
  };
}

function fillCovers(
  directories: Directories,
  stack: Stack,
  places: ReadonlyMap<number, readonly Buffer[]>,
  instead: boolean,
): (path: string) => void {
  return (path) => {
    for (const [layer, hidden] of places) {
      const files = instead ? directories.of(stack[layer]!, DIFF) : undefined;
      cover(join(path, `${instead ? 'instead' : 'above'}-${layer}`), hidden, files);
    }
  };
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
function placesIn(directories: Directories, stack: Stack): Map<number, Buffer[]> {
  const gaps = findGaps(stack.map((id) => directories.of(id, DIFF)));
  const places = new Map<number, Buffer[]>();
  let last = -1;
  for (const { path, from, to } of gaps.toSorted((a, b) => a.to - b.to)) {
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
    if (layer === undefined) dressForNobody(root);
    for (const [at, path] of hidden.entries()) hide(root, path, trash, `${at}`);
  } finally {
    closeFd(root);
    closeFd(trash);
  }
  for (const _ of removeTree(replaced));
  utimesSync(branch, 0, 0);
}

/** Puts a whiteout in the place of `path`; what is there goes to the trash. */
function hide(fd: number, path: Buffer, trash: number, trashName: string): void {
  const slash = path.indexOf(0x2f);
  const name = slash === -1 ? path : path.subarray(0, slash);
  // In a layer's place its directories keep their times.
  const { mtimeSeconds, mtimeNanoseconds } = statFd(fd);
  if (slash === -1) {
    if (statAt(fd, name)) renameAt(fd, name, trash, trashName);
    const whiteout = whiteoutNameOf(name);
    closeFd(openAt(fd, whiteout, O_WRONLY | O_CREAT, 0o444));
    setTimesAt(fd, whiteout, 0, 0);
  } else {
    const below = enter(fd, name);
    try {
      hide(below, path.subarray(slash + 1), trash, trashName);
    } finally {
      closeFd(below);
    }
  }
  setTimesOf(fd, mtimeSeconds, mtimeNanoseconds);
}

function enter(fd: number, name: Buffer): number {
  if (statAt(fd, name)) return openDirectoryAt(fd, name);
  mkdirAt(fd, name);
  const made = openDirectoryAt(fd, name);
  dressForNobody(made);
  return made;
}

/** Without `dirperm1` what one of the branches forbids is forbidden; what this one allows, and its time, never count. */
function dressForNobody(fd: number): void {
  chmodFd(fd, 0o777);
  setTimesOf(fd, 0, 0);
}
