/**
 * What AUFS shows of a stack though a layer hides it. It looks a directory up in one branch after the other, and
 * - passes over a branch that has a file of that name, where all below ought to be hidden;
 * - looks on below an opaque directory, and if it finds a second one, takes the lower one's mark for its only one.
 * Only a whiteout ends its search. So layers never have AUFS' own mark (the one that it sets in the writable branch
 * is then alone), and each place where hidden content would come back is told here.
 *
 * Read are the directories that two layers or more have in common, nothing else.
 */
import { DT_DIR, DT_UNKNOWN, openDirectoryAt, readDirectoryFd, statAt } from '../../src/sys/at.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { isDirectory } from '../../src/sys/walk.ts';
import { isOpaqueMark, isOwnName, isWhiteoutName, whiteoutTarget } from '../changes/aufs.ts';

/** A directory that has to be hidden from some layer on: by a whiteout right above any of the layers `from` … `to`. */
export interface Gap {
  readonly path: Buffer;
  /** Places in the stack; 0 is the top. */
  readonly from: number;
  readonly to: number;
}

/** A layer that has a name which is looked at. */
interface Holder {
  readonly layer: number;
  /** The open directory that the name is in. */
  readonly parentFd: number;
  readonly name: Buffer;
  readonly directory: boolean;
}

interface OpenDirectory {
  readonly layer: number;
  readonly fd: number;
  readonly opaque: boolean;
  readonly names: readonly { readonly name: Buffer; readonly directory: boolean }[];
  /** Latin-1. */
  readonly whiteouts: readonly string[];
}

/** @param branches paths of the layers' files, top first */
export function findGaps(branches: readonly string[]): Gap[] {
  const gaps: Gap[] = [];
  const open: OpenDirectory[] = [];
  try {
    // An opaque root is another matter: the stack ends with it.
    for (const [layer, path] of branches.entries()) open.push(openLayer(layer, AT_FDCWD, Buffer.from(path)));
    lookInside(Buffer.alloc(0), open, gaps);
  } finally {
    for (const { fd } of open) closeFd(fd);
  }
  return gaps;
}

/** One directory of the union: what the layers have in it that show it. */
function lookInside(path: Buffer, open: readonly OpenDirectory[], gaps: Gap[]): void {
  for (const holders of shared(open)) {
    const name = holders[0]!.name;
    lookAt(path.length === 0 ? name : Buffer.concat([path, Buffer.from('/'), name]), holders, gaps);
  }
}

/** One name of the union, a directory in the topmost layer that has it. */
function lookAt(path: Buffer, holders: readonly Holder[], gaps: Gap[]): void {
  const open: OpenDirectory[] = [];
  try {
    for (const [at, { layer, parentFd, name, directory }] of holders.entries()) {
      const last = open.at(-1);
      if (last && (!directory || last.opaque)) {
        const next = holders.slice(at).find((holder) => holder.directory);
        if (next) gaps.push({ path, from: last.layer + 1, to: next.layer });
        break;
      }
      open.push(openLayer(layer, parentFd, name));
    }
    if (open.length > 1) lookInside(path, open, gaps);
  } finally {
    for (const { fd } of open) closeFd(fd);
  }
}

/** Names that are directories in at least two layers, in the topmost one too; each with all who have it. */
function shared(open: readonly OpenDirectory[]): Holder[][] {
  const found = new Map<string, Holder[]>();
  const hidden = new Set<string>();
  for (const { layer, fd, names, whiteouts } of open) {
    for (const { name, directory } of names) {
      const key = name.toString('latin1');
      if (hidden.has(key)) continue;
      const holders = found.get(key);
      const holder = { layer, parentFd: fd, name, directory };
      if (holders) holders.push(holder);
      else if (directory) found.set(key, [holder]);
      else hidden.add(key);
    }
    for (const key of whiteouts) hidden.add(key);
  }
  return [...found.values()].filter(([, ...below]) => below.some(({ directory }) => directory));
}

function openLayer(layer: number, parentFd: number, directoryName: Buffer): OpenDirectory {
  const fd = openDirectoryAt(parentFd, directoryName);
  try {
    const found = readDirectoryFd(fd);
    const marks = found.map(({ name }) => name).filter(isWhiteoutName);
    return {
      layer,
      fd,
      opaque: marks.some(isOpaqueMark),
      names: found
        .filter(({ name }) => !isWhiteoutName(name))
        .map(({ name, type }) => ({ name, directory: type === DT_DIR || (type === DT_UNKNOWN && isDirAt(fd, name)) })),
      whiteouts: marks.filter((name) => !isOwnName(name)).map((name) => whiteoutTarget(name).toString('latin1')),
    };
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function isDirAt(fd: number, name: Buffer): boolean {
  const stat = statAt(fd, name);
  return stat !== undefined && isDirectory(stat);
}
