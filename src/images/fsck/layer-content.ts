/** What a layer's index says of its files, for drivers that keep them as files. */
import type { LayerFile } from '../../../drivers/driver.ts';
import { readLayerIndex } from '../../archive/layer-index/reader.ts';
import { isTslayerError } from '../../errors.ts';
import type { LayerRow } from '../../metadata/layers.ts';
import { layerIndexPath } from '../../store-layout.ts';
import type { StoreContext } from '../context.ts';
import { bytesOf, type LayerNode } from '../layer-tree.ts';
import { treeOfIndex } from '../layer-trees.ts';

/** Undefined without an index. Sparse files are left out: their sums are of what the tar stores. */
export function layerFiles({ paths }: StoreContext, row: LayerRow): Iterable<LayerFile> | undefined {
  if (!row.indexed) return undefined;
  try {
    const tree = treeOfIndex(readLayerIndex(layerIndexPath(paths, row.id)));
    return filesBelow(tree.root, '');
  } catch (error) {
    // An index that is damaged is no loss, and its layer may be well.
    if (isTslayerError(error, 'NOT_FOUND') || isTslayerError(error, 'MALFORMED')) return undefined;
    throw error;
  }
}

function* filesBelow(directory: LayerNode, prefix: string): Generator<LayerFile, void> {
  for (const [name, node] of directory.children ?? []) {
    const path = prefix + name;
    if (node.children) yield* filesBelow(node, `${path}/`);
    const { info } = node;
    if (info?.entry.type !== 'file' || info.entry.segments || info.crc32 === undefined) continue;
    yield { path: bytesOf(path), size: info.entry.size, crc32: info.crc32 };
  }
}
