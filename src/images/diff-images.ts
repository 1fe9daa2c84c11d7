/** `tslayer diff REF REF`: two images, or two ranges of their layers, compared without mounting either. */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { OperationOptions } from '../progress.ts';
import { type CompareOptions, compareTrees, type FileChange, type Layered } from './compare-trees.ts';
import type { StoreContext } from './context.ts';
import { hashFiles, type WantedFile } from './file-hashes.ts';
import { type ImageLayer, readImage } from './image-layers.ts';
import { LayerTrees } from './layer-trees.ts';

export interface DiffSide {
  readonly image: ImageRow;
  /** Only the first so many layers from the base. Default: all. */
  readonly layers?: number | undefined;
}

export interface DiffImagesOptions extends OperationOptions, Pick<CompareOptions, 'times'> {}

/**
 * Files of one size whose bytes may differ are read and compared; files of layers that both sides share are not
 * looked at.
 */
export async function diffImages(
  context: StoreContext,
  before: DiffSide,
  after: DiffSide,
  options: DiffImagesOptions = {},
): Promise<FileChange[]> {
  const trees = new LayerTrees(context, options);
  const [a, b] = [await layersOf(context, before), await layersOf(context, after)];
  const [from, to] = [await trees.merged({ layers: a }), await trees.merged({ layers: b })];
  const times = options.times ?? true;
  const doubtful: [WantedFile, WantedFile][] = [];
  const noteDoubt = (x: Layered, y: Layered) => {
    if (crcsDiffer(x, y)) return false;
    const [layerX, layerY] = [a[x.layer], b[y.layer]];
    if (layerX && layerY)
      doubtful.push([
        { info: x.info, layer: layerX },
        { info: y.info, layer: layerY },
      ]);
    return true;
  };
  const first = [...compareTrees(from, to, { times, sameBytes: noteDoubt })];
  if (doubtful.length === 0) return first;
  const hashes = await hashFiles(context, doubtful.flat(), options);
  const sameBytes = (x: Layered, y: Layered) => !crcsDiffer(x, y) && hashes.get(x.info) === hashes.get(y.info);
  return [...compareTrees(from, to, { times, sameBytes })];
}

/** Sums of stored bytes tell files apart without a look at them, unless holes make the stored bytes not all of it. */
function crcsDiffer({ info: a }: Layered, { info: b }: Layered): boolean {
  if (a.crc32 === undefined || b.crc32 === undefined || a.entry.segments || b.entry.segments) return false;
  return a.crc32 !== b.crc32;
}

/** Layers of one image, both ends included; the base is 0, as `layers` counts. */
export interface LayerRange {
  readonly from: number;
  readonly to: number;
}

/** What a range of an image's layers changes in what lies below them. */
export function diffLayers(
  context: StoreContext,
  image: ImageRow,
  { from, to }: LayerRange,
  options: DiffImagesOptions = {},
): Promise<FileChange[]> {
  if (from > to) throw new TslayerError('INVALID_ARGUMENT', `no layers: ${from} to ${to}`);
  return diffImages(context, { image, layers: from }, { image, layers: to + 1 }, options);
}

async function layersOf(context: StoreContext, { image, layers: count }: DiffSide): Promise<readonly ImageLayer[]> {
  const { layers } = await readImage(context, image);
  if (count === undefined) return layers;
  if (!Number.isInteger(count) || count < 0 || count > layers.length) {
    throw new TslayerError('INVALID_ARGUMENT', `${image.name} has ${layers.length} layers, not ${count}`, {
      hint: 'see tslayer layers',
    });
  }
  return layers.slice(0, count);
}
