/**
 * Several layers as one: the names that the top shows and the lowest `from` layers do not have yet, whiteouts for
 * what is gone of those, and the bytes of each file out of the layer that has it. With `from` 0, a whole file system.
 *
 * Order: whiteouts, then every name sorted, a directory before what is in it. It depends on the layers only.
 */
import type { TarEntry } from '../archive/entry.ts';
import type { TarItem } from '../archive/tar-writer.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer } from './image-layers.ts';
import { LayerFiles } from './layer-files.ts';
import { bytesOf, type FileInfo } from './layer-tree.ts';
import { LayerTrees } from './layer-trees.ts';
import { findNode, type MergedNode, walkTree } from './merged-tree.ts';

/** @param from how many layers from the base stay as they are */
export async function* flattenLayers(
  context: StoreContext,
  layers: readonly ImageLayer[],
  from: number,
  options: OperationOptions = {},
): AsyncGenerator<TarItem, void> {
  const trees = new LayerTrees(context, options);
  const below = await trees.merged({ layers: layers.slice(0, from) });
  const top = await trees.merged({ layers });
  await using files = new LayerFiles(context, options);
  if (top.info && top.layer >= from) yield { kind: 'modified', entry: renamed(top.info.entry, '') };
  for (const path of goneOf(below, top, '')) yield { kind: 'deleted', path: bytesOf(path) };
  const names = new Map<FileInfo, Uint8Array>();
  for (const { node, path } of walkTree(top)) {
    const { info, layer: number } = node;
    const layer = layers[number];
    if (!info || !layer) continue;
    // A file of the kept layers, unless a higher layer gave it one more name.
    if (number < from && findNode(below, path)?.info === info) continue;
    const entry = renamed(info.entry, path);
    const known = entry.type === 'directory' ? undefined : names.get(info);
    names.set(info, known ?? entry.path);
    if (known) yield { kind: 'added', entry: linkTo(known, entry) };
    else if (entry.type === 'file' && entry.size > 0) {
      const stored = await files.open(layer, info.entry);
      yield { kind: 'added', entry, open: () => stored };
    }
    // A hard link to a file that no layer has: there is nothing to take along.
    else if (entry.type !== 'hardlink') yield { kind: 'added', entry };
  }
}

/** With all attributes once more: see drivers/changes, whose links have them, too. */
function linkTo(linkname: Uint8Array, entry: TarEntry): TarEntry {
  const { segments: _segments, ...rest } = entry;
  return { ...rest, type: 'hardlink', linkname, size: 0, storedSize: 0 };
}

/** The highest names that are in `below` and not in `top`. A name that stays as something else says so itself. */
function* goneOf(below: MergedNode, top: MergedNode, prefix: string): Generator<string, void> {
  for (const name of [...(below.children?.keys() ?? [])].sort()) {
    const path = prefix === '' ? name : `${prefix}/${name}`;
    const [before, after] = [below.children?.get(name), top.children?.get(name)];
    if (!after) yield path;
    else if (before?.children && after.children) yield* goneOf(before, after, path);
  }
}

function renamed(entry: TarEntry, path: string): TarEntry {
  return { ...entry, path: bytesOf(path) };
}
