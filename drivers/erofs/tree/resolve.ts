/**
 * Finds the directory in which a path's last component lies. Symbolic links on the way are followed as a kernel
 * with this layer as its root would: absolute targets start at the layer's root, `..` stops there. Nothing of the
 * host is looked at, so a link that leaves the layer leads nowhere.
 */
import { TslayerError } from '../../../src/errors.ts';

/** As many as the kernel follows (MAXSYMLINKS). */
const MAX_LINKS = 40;
const SLASH = 0x2f;
const DOT = 0x2e;

/** What a resolver needs to know of a tree; directories are row numbers, the root is 0. */
export interface DirectoryView {
  /** The directory called so in `directory`; a symlink's target; or undefined for anything else that is there. */
  step(directory: number, path: Uint8Array, start: number, end: number): number | Uint8Array | undefined;
  parentOf(directory: number): number;
}

export function printable(path: Uint8Array): string {
  return JSON.stringify(Buffer.from(path).toString());
}

/** Whether `path[start … end)` is `.`, `..` (1, 2) or neither (0). */
function dots(path: Uint8Array, start: number, end: number): number {
  if (path[start] !== DOT) return 0;
  if (end - start === 1) return 1;
  return end - start === 2 && path[start + 1] === DOT ? 2 : 0;
}

export interface ResolvedPath {
  readonly directory: number;
  /** The last component begins here and ends with the path. */
  readonly nameAt: number;
}

/** Resolves all components but the last. The path is not empty and has no `.`, `..` or empty component itself. */
export function resolveParent(tree: DirectoryView, path: Uint8Array): ResolvedPath {
  const nameAt = path.lastIndexOf(SLASH) + 1;
  let directory = 0;
  for (let start = 0; start < nameAt; ) {
    const end = path.indexOf(SLASH, start);
    const next = tree.step(directory, path, start, end);
    if (typeof next !== 'number')
      return { directory: resolveLinks(tree, directory, next, path, end + 1, nameAt), nameAt };
    directory = next;
    start = end + 1;
  }
  return { directory, nameAt };
}

/** The slow way, from the first link on: what is still to be walked is kept as a stack of paths. */
function resolveLinks(
  tree: DirectoryView,
  from: number,
  target: Uint8Array | undefined,
  path: Uint8Array,
  rest: number,
  nameAt: number,
): number {
  const pending: { path: Uint8Array; at: number; end: number }[] = [{ path, at: rest, end: nameAt }];
  let directory = from;
  let links = 0;
  const follow = (link: Uint8Array | undefined) => {
    if (link === undefined) throw new TslayerError('MALFORMED', `${printable(path)}: a parent is not a directory`);
    if (++links > MAX_LINKS) throw new TslayerError('UNSAFE_LAYER', `${printable(path)}: too many symbolic links`);
    if (link[0] === SLASH) directory = 0;
    pending.push({ path: link, at: 0, end: link.length });
  };
  follow(target);
  for (let top = pending.at(-1); top !== undefined; top = pending.at(-1)) {
    while (top.at < top.end && top.path[top.at] === SLASH) top.at++;
    if (top.at >= top.end) {
      pending.pop();
      continue;
    }
    const start = top.at;
    const slash = top.path.indexOf(SLASH, start);
    const end = slash === -1 || slash > top.end ? top.end : slash;
    top.at = end;
    const special = dots(top.path, start, end);
    if (special === 2) directory = tree.parentOf(directory);
    if (special !== 0) continue;
    const next = tree.step(directory, top.path, start, end);
    if (typeof next === 'number') directory = next;
    else follow(next);
  }
  return directory;
}
