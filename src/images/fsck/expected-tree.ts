/** What a layer's files ought to be, for drivers that keep them as files. */
import type { ExpectedNode, StorageDriver } from '../../../drivers/driver.ts';
import type { TarEntry } from '../../archive/entry.ts';
import { crc32 } from '../../archive/layer-index/checksum.ts';
import { readLayerIndex } from '../../archive/layer-index/reader.ts';
import type { LayerSink } from '../../archive/sink.ts';
import { isTslayerError, TslayerError } from '../../errors.ts';
import type { LayerKey, LayerRow } from '../../metadata/layers.ts';
import type { ChainID } from '../../oci/digest.ts';
import type { OperationOptions } from '../../progress.ts';
import { layerIndexPath } from '../../store-layout.ts';
import type { StoreContext } from '../context.ts';
import { LayerTree } from '../layer-tree.ts';
import { treeOfIndex } from '../layer-trees.ts';
import { mergeLayers } from '../merged-tree.ts';
import { readLayer } from '../read-layer.ts';

/**
 * Of the layer alone, or of all below it too, where a driver's layer holds that.
 * @throws TslayerError NOT_FOUND when neither an index nor a blob can tell
 */
export async function expectedTree(
  context: StoreContext,
  stacking: StorageDriver['stacking'],
  row: LayerRow,
  options: OperationOptions,
): Promise<ExpectedNode> {
  if (stacking === 'independent') return (await treeOf(context, row, options)).root;
  const trees: LayerTree[] = [];
  for (const layer of stackOf(context, row.key).reverse()) trees.push(await treeOf(context, layer, options));
  return mergeLayers(trees);
}

/** Top first; a layer that holds those below is known by its chainID. */
export function stackOf({ metadata }: StoreContext, key: LayerKey): LayerRow[] {
  return metadata.layers.stack(key as ChainID);
}

/** An index that is missing or damaged is no loss: the blob has all of it. */
async function treeOf(context: StoreContext, row: LayerRow, options: OperationOptions): Promise<LayerTree> {
  try {
    if (row.indexed) return treeOfIndex(readLayerIndex(layerIndexPath(context.paths, row.id)));
  } catch (error) {
    if (!isTslayerError(error, 'NOT_FOUND') && !isTslayerError(error, 'MALFORMED')) throw error;
  }
  const { blobs } = context.metadata;
  const blob = blobs.blobsOf(row.diffId).flatMap(({ digest }) => blobs.get(digest) ?? [])[0];
  if (blob === undefined)
    throw new TslayerError('NOT_FOUND', `neither the index nor the blob of ${row.diffId} is there`);
  const sink = new TreeSink();
  await readLayer(context, { descriptor: blob }, sink, { signal: options.signal });
  return sink.end();
}

/** A layer's tar as a tree, with the sums that an index would have. */
class TreeSink implements LayerSink {
  readonly #tree = new LayerTree();
  #entry: TarEntry | undefined;
  #sum = 0;

  entry(entry: TarEntry): void {
    this.end();
    this.#entry = entry;
  }

  data(chunk: Uint8Array): void {
    this.#sum = crc32(chunk, this.#sum);
  }

  whiteout(path: Uint8Array): void {
    this.end().whiteout(path);
  }

  opaque(path: Uint8Array): void {
    this.end().opaque(path);
  }

  /** The sum of an entry is known when its data is over. */
  end(): LayerTree {
    if (this.#entry) this.#tree.entry(this.#entry, this.#sum);
    this.#entry = undefined;
    this.#sum = 0;
    return this.#tree;
  }

  finish(): ReturnType<LayerSink['finish']> {
    this.end();
    return { bytes: 0, inodes: 0, warnings: [] };
  }

  close(): void {}
}
