/**
 * Two file systems compared name by name: what was added, changed, deleted. Attributes decide, and for files of equal
 * size the bytes, where somebody can tell them apart.
 */
import type { TarEntry } from '../archive/entry.ts';
import { describeFile, type FileDescription } from './file-description.ts';
import type { FileInfo } from './layer-tree.ts';
import { byCharacters, type MergedNode, walkTree } from './merged-tree.ts';

/** What of a file changed. */
export type Aspect = 'type' | 'content' | 'mode' | 'owner' | 'mtime' | 'target' | 'device' | 'xattrs' | 'links';

export type FileChange =
  | { readonly change: 'added'; readonly after: FileDescription; readonly bytes: number }
  | { readonly change: 'deleted'; readonly before: FileDescription; readonly bytes: number }
  | {
      readonly change: 'modified';
      readonly before: FileDescription;
      readonly after: FileDescription;
      readonly what: readonly Aspect[];
      /** How much larger it became. */
      readonly bytes: number;
    };

/** A file and the number of its layer. */
export interface Layered {
  readonly info: FileInfo;
  readonly layer: number;
}

export interface CompareOptions {
  /** Times that differ count as a change. Default true. */
  readonly times?: boolean;
  /**
   * Whether two regular files of one size hold the same bytes; asked only where all else leaves it open. Without
   * it, equal sizes and times mean equal bytes, and equal sizes with other times mean other bytes.
   */
  readonly sameBytes?: (before: Layered, after: Layered, path: string) => boolean;
}

/** Sorted by path bytes; a deleted or added directory is followed by all that was in it. */
export function* compareTrees(
  before: MergedNode,
  after: MergedNode,
  options: CompareOptions = {},
): Generator<FileChange, void> {
  yield* compareNode('', before, after, options);
}

function* compareNode(
  path: string,
  before: MergedNode,
  after: MergedNode,
  options: CompareOptions,
): Generator<FileChange, void> {
  if (before.info !== after.info) {
    const what = aspects(before, after, path, options);
    if (what.length > 0) {
      const [a, b] = [describeFile(path, before.info), describeFile(path, after.info)];
      yield { change: 'modified', before: a, after: b, what, bytes: b.size - a.size };
    }
  }
  if (before.children === after.children) return;
  const names = new Set([...(before.children?.keys() ?? []), ...(after.children?.keys() ?? [])]);
  for (const name of [...names].sort(byCharacters)) {
    const [a, b] = [before.children?.get(name), after.children?.get(name)];
    const below = path === '' ? name : `${path}/${name}`;
    if (a && b) yield* compareNode(below, a, b, options);
    else if (a) yield* allOf(below, a, 'deleted');
    else if (b) yield* allOf(below, b, 'added');
  }
}

function* allOf(path: string, node: MergedNode, change: 'added' | 'deleted'): Generator<FileChange, void> {
  yield describeChange(path, node, change);
  for (const below of walkTree(node, path)) yield describeChange(below.path, below.node, change);
}

function describeChange(path: string, node: MergedNode, change: 'added' | 'deleted'): FileChange {
  const file = describeFile(path, node.info);
  return change === 'added' ? { change, after: file, bytes: file.size } : { change, before: file, bytes: -file.size };
}

function aspects(before: MergedNode, after: MergedNode, path: string, options: CompareOptions): Aspect[] {
  // A directory that no layer describes has whatever attributes an unpacker gives it.
  if (!before.info || !after.info) {
    const isDirectory = (node: MergedNode) => !node.info || node.info.entry.type === 'directory';
    return isDirectory(before) && isDirectory(after) ? [] : ['type'];
  }
  const [a, b] = [before.info.entry, after.info.entry];
  if (a.type !== b.type) return ['type'];
  const what: Aspect[] = [];
  const files = [
    { info: before.info, layer: before.layer },
    { info: after.info, layer: after.layer },
  ] as const;
  if (a.type === 'file' && !sameContent(...files, path, options)) what.push('content');
  if (a.mode !== b.mode) what.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) what.push('owner');
  if ((options.times ?? true) && !sameTime(a, b)) what.push('mtime');
  if (Buffer.compare(a.linkname, b.linkname) !== 0 && a.type === 'symlink') what.push('target');
  if (a.deviceMajor !== b.deviceMajor || a.deviceMinor !== b.deviceMinor) what.push('device');
  if (!sameXattrs(a, b)) what.push('xattrs');
  if (a.type !== 'directory' && before.info.links !== after.info.links) what.push('links');
  return what;
}

function sameContent(before: Layered, after: Layered, path: string, { sameBytes }: CompareOptions): boolean {
  const [a, b] = [before.info.entry, after.info.entry];
  if (a.size !== b.size) return false;
  if (a.size === 0) return true;
  return sameBytes ? sameBytes(before, after, path) : sameTime(a, b);
}

function sameTime(a: TarEntry, b: TarEntry): boolean {
  return a.mtime.seconds === b.mtime.seconds && a.mtime.nanoseconds === b.mtime.nanoseconds;
}

function sameXattrs(a: TarEntry, b: TarEntry): boolean {
  return (
    a.xattrs.length === b.xattrs.length &&
    a.xattrs.every(({ name, value }, i) => {
      const other = b.xattrs[i];
      return other && Buffer.compare(name, other.name) === 0 && Buffer.compare(value, other.value) === 0;
    })
  );
}
