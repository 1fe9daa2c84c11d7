/** The file trees of layers, each read once: from the index that was kept when it was unpacked, else from its blob. */
import { type LayerIndex, readLayerIndex } from '../archive/layer-index/reader.ts';
import type { LayerSink } from '../archive/sink.ts';
import { isTslayerError } from '../errors.ts';
import type { OperationOptions } from '../progress.ts';
import { layerIndexPath } from '../store-layout.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer, StoredImage } from './image-layers.ts';
import { LayerTree } from './layer-tree.ts';
import { type MergedNode, mergeLayers, type OnHidden } from './merged-tree.ts';
import { readLayer } from './read-layer.ts';

export class LayerTrees {
  readonly #context: StoreContext;
  readonly #options: OperationOptions;
  /** By diffID: two images that share a layer share its tree, and so are equal there without a look. */
  readonly #trees = new Map<string, Promise<LayerTree>>();

  constructor(context: StoreContext, options: OperationOptions = {}) {
    this.#context = context;
    this.#options = options;
  }

  /** The layer's own names. */
  tree(layer: ImageLayer): Promise<LayerTree> {
    const known = this.#trees.get(layer.diffId);
    if (known) return known;
    const loading = this.#load(layer);
    this.#trees.set(layer.diffId, loading);
    return loading;
  }

  trees(layers: readonly ImageLayer[]): Promise<LayerTree[]> {
    return Promise.all(layers.map((layer) => this.tree(layer)));
  }

  /** What an image (or its first layers) shows. */
  async merged(image: Pick<StoredImage, 'layers'>, onHidden?: OnHidden): Promise<MergedNode> {
    return mergeLayers(await this.trees(image.layers), onHidden);
  }

  /** An index that is missing or damaged is no loss: the blob has all of it. */
  async #load(layer: ImageLayer): Promise<LayerTree> {
    const { row } = layer;
    if (!row?.indexed) return this.#fromBlob(layer);
    try {
      return treeOfIndex(readLayerIndex(layerIndexPath(this.#context.paths, row.id)));
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND') || isTslayerError(error, 'MALFORMED')) return this.#fromBlob(layer);
      throw error;
    }
  }

  async #fromBlob(layer: ImageLayer): Promise<LayerTree> {
    const tree = new LayerTree();
    await readLayer(this.#context, layer, treeSink(tree), { signal: this.#options.signal });
    return tree;
  }
}

export function treeOfIndex(index: LayerIndex): LayerTree {
  const tree = new LayerTree();
  for (const record of index) {
    if (record.kind === 'entry') tree.entry(record.entry, record.crc32);
    else if (record.kind === 'opaque') tree.opaque(record.path);
    else tree.whiteout(record.path);
  }
  return tree;
}

function treeSink(tree: LayerTree): LayerSink {
  return {
    entry: (entry) => tree.entry(entry),
    whiteout: (path) => tree.whiteout(path),
    opaque: (path) => tree.opaque(path),
    finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
    close: () => undefined,
  };
}
