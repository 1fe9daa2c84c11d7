/** `tslayer layers REF`: each layer's own content, what it hides, and what of it is hidden. */
import type { ImageRow } from '../metadata/images.ts';
import type { ChainID, DiffID, Digest } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { readImage } from './image-layers.ts';
import { type LayerContent, reportLayers } from './layer-report.ts';
import { LayerTrees } from './layer-trees.ts';

export interface LayerSummary extends LayerContent {
  /** From the base, 0. */
  readonly number: number;
  readonly digest: Digest;
  readonly diffId: DiffID;
  readonly chainId: ChainID;
  readonly mediaType: string;
  /** Bytes of the compressed blob. */
  readonly compressedBytes: number;
  /** Bytes on disk once unpacked; undefined when it is not. */
  readonly unpackedBytes?: number;
  /** The history entry that made it. */
  readonly createdBy?: string;
}

export interface LayersReport {
  readonly image: string;
  readonly layers: readonly LayerSummary[];
  /** Bytes of files, and how many of them higher layers hide. */
  readonly bytes: number;
  readonly wastedBytes: number;
}

/** Base first. */
export async function reportImageLayers(
  context: StoreContext,
  image: ImageRow,
  options: OperationOptions = {},
): Promise<LayersReport> {
  const stored = await readImage(context, image);
  const contents = reportLayers(await new LayerTrees(context, options).trees(stored.layers));
  const history = stored.config.history.filter((entry) => !entry.empty_layer);
  const layers = stored.layers.map(({ descriptor, diffId, chainId, row }, number): LayerSummary => {
    const createdBy = history[number]?.created_by;
    return {
      number,
      digest: descriptor.digest,
      diffId,
      chainId,
      mediaType: descriptor.mediaType,
      compressedBytes: descriptor.size,
      ...(row ? { unpackedBytes: row.bytes } : {}),
      ...(createdBy === undefined ? {} : { createdBy }),
      ...(contents[number] as LayerContent),
    };
  });
  const sum = (pick: (layer: LayerSummary) => number) => layers.reduce((total, layer) => total + pick(layer), 0);
  return { image: image.name, layers, bytes: sum((l) => l.bytes), wastedBytes: sum((l) => l.wasted.bytes) };
}
