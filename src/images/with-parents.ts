/**
 * Changes with the directories that lead to them. A layer that changes etc/ssl/x and says nothing of etc/ssl leaves
 * it to each unpacker what that directory looks like there: docker and podman make it root's, mode 755, over
 * whatever the image had (a /tmp of mode 1777 with it). So every parent is said, as docker does.
 */

import type { Change } from '../../drivers/driver.ts';
import type { TarItem } from '../archive/tar-writer.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer } from './image-layers.ts';
import { byteString } from './layer-tree.ts';
import { LayerTrees } from './layer-trees.ts';
import { findNode, type MergedNode } from './merged-tree.ts';

/** Parents that did not change are as the image has them. Its tree is read only when there is one. */
export async function* withParents(
  context: StoreContext,
  base: { readonly layers: readonly ImageLayer[] },
  changes: AsyncIterable<Change>,
): AsyncGenerator<TarItem, void> {
  const told = new Set<string>(['']);
  let root: MergedNode | undefined;
  for await (const change of changes) {
    const path = byteString('path' in change ? change.path : change.entry.path);
    for (const parent of parentsOf(path)) {
      if (told.has(parent)) continue;
      told.add(parent);
      root ??= await new LayerTrees(context).merged(base);
      const entry = findNode(root, parent)?.info?.entry;
      if (entry?.type === 'directory')
        yield { kind: 'modified', entry: { ...entry, path: Buffer.from(parent, 'latin1') } };
    }
    if ('entry' in change && change.entry.type === 'directory') told.add(path);
    yield change;
  }
}

/** `a/b/c` → `a`, `a/b`. */
function* parentsOf(path: string): Generator<string, void> {
  for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) yield path.slice(0, slash);
}
