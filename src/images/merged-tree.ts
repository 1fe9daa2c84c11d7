/**
 * A stack of layers as the file system that it shows: whiteouts, opaque directories and replaced files applied, base
 * first. It also notes what each layer hides of those below, which is what `layers` reports as wasted.
 */
import { byteString, type FileInfo, joinTarget, type LayerNode, type LayerTree } from './layer-tree.ts';

export interface MergedNode {
  /** The attributes on top; undefined for a directory that no layer describes. */
  readonly info: FileInfo | undefined;
  /** Number of the layer that `info` is from, counted from the base, 0. */
  readonly layer: number;
  /** Present on directories. */
  readonly children: Map<string, MergedNode> | undefined;
}

/** A file of a lower layer that a higher one replaced or removed. */
export type OnHidden = (hidden: MergedNode, by: number) => void;

/** Base first. */
export function mergeLayers(layers: readonly LayerTree[], onHidden?: OnHidden): MergedNode {
  let root: MergedNode = { info: undefined, layer: 0, children: new Map() };
  for (const [number, layer] of layers.entries()) {
    root = {
      info: layer.root.info ?? root.info,
      layer: layer.root.info ? number : root.layer,
      children: root.children,
    };
    const before = root;
    mergeInto(root, layer.root, { number, onHidden, root: before });
  }
  return root;
}

interface Merge {
  readonly number: number;
  readonly onHidden: OnHidden | undefined;
  readonly root: MergedNode;
}

function mergeInto(target: MergedNode, source: LayerNode, merge: Merge): void {
  const children = target.children;
  if (!children || !source.children) return;
  if (source.opaque) {
    for (const hidden of children.values()) hide(hidden, merge);
    children.clear();
  }
  for (const [name, node] of source.children) {
    const below = children.get(name);
    const merged = mergeNode(below, node, merge);
    if (merged) children.set(name, merged);
    else children.delete(name);
  }
}

/** What a name shows once `node` lies over `below`; undefined when nothing is left. */
function mergeNode(below: MergedNode | undefined, node: LayerNode, merge: Merge): MergedNode | undefined {
  const isNothing = node.whiteout && !node.info && !node.children;
  if (isNothing || node.whiteout || !node.children || !below?.children) {
    const linked = linkedBelow(node, merge);
    if (below) hide(below, merge);
    if (isNothing) return undefined;
    const fresh: MergedNode = linked ?? { info: node.info, layer: merge.number, children: node.children && new Map() };
    mergeInto(fresh, node, merge);
    return fresh;
  }
  // A directory over a directory: the upper one's attributes, both one's files. What hides the lower one is no more
  // that directory, even if no entry says what it is like.
  const ownLooks = node.info !== undefined || node.opaque;
  const both: MergedNode = {
    info: ownLooks ? node.info : below.info,
    layer: ownLooks ? merge.number : below.layer,
    children: below.children,
  };
  mergeInto(both, node, merge);
  return both;
}

/** A hard link to a file of a lower layer is that file. */
function linkedBelow(node: LayerNode, merge: Merge): MergedNode | undefined {
  return node.linkBelow === undefined ? undefined : findNode(merge.root, node.linkBelow);
}

function hide(node: MergedNode, merge: Merge): void {
  if (!merge.onHidden) return;
  merge.onHidden(node, merge.number);
  for (const child of node.children?.values() ?? []) hide(child, merge);
}

/** A name exactly, no link followed. */
export function findNode(root: MergedNode, path: string): MergedNode | undefined {
  let node: MergedNode | undefined = root;
  for (const part of path.split('/')) if (part !== '') node = node?.children?.get(part);
  return node;
}

export interface Resolved {
  readonly node: MergedNode;
  /** Where it was found, without links; the root is empty. */
  readonly path: string;
}

/** A name as a program in the image would open it: links followed, never out of the root. Undefined: not there. */
export function resolveNode(
  root: MergedNode,
  path: string,
  options: { followLast?: boolean } = {},
): Resolved | undefined {
  let parts = joinTarget([], path);
  for (let links = 0; links <= 40; links++) {
    const step = walk(root, parts, options.followLast ?? true);
    if (!step) return undefined;
    if (!('next' in step)) return step;
    parts = step.next;
  }
  return undefined;
}

function walk(
  root: MergedNode,
  parts: readonly string[],
  followLast: boolean,
): Resolved | { next: string[] } | undefined {
  let node = root;
  for (const [i, part] of parts.entries()) {
    const next = node.children?.get(part);
    if (!next) return undefined;
    const isLast = i === parts.length - 1;
    if (next.info?.entry.type === 'symlink' && (!isLast || followLast)) {
      const target = joinTarget(parts.slice(0, i), byteString(next.info.entry.linkname));
      return { next: [...target, ...parts.slice(i + 1)] };
    }
    node = next;
  }
  return { node, path: parts.join('/') };
}

/** All names below a node with their nodes, sorted as bytes, a directory before what is in it. */
export function* walkTree(node: MergedNode, prefix = ''): Generator<Resolved, void> {
  for (const name of [...(node.children?.keys() ?? [])].sort(byCharacters)) {
    const child = node.children?.get(name);
    if (!child) continue;
    const path = prefix === '' ? name : `${prefix}/${name}`;
    yield { node: child, path };
    yield* walkTree(child, path);
  }
}

/** The order of bytes, since each character is one. */
export function byCharacters(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
