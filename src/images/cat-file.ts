/** A file's bytes out of an image that is not mounted. */
import type { TarEntry } from '../archive/entry.ts';
import type { LayerSink } from '../archive/sink.ts';
import { filled } from '../archive/tar-writer.ts';
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import { layerCompression } from '../oci/media-types.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { readPath } from './file-description.ts';
import { type ImageLayer, readImage } from './image-layers.ts';
import { byteString } from './layer-tree.ts';
import { LayerTrees } from './layer-trees.ts';
import { resolveNode } from './merged-tree.ts';
import { readLayerInSteps } from './read-layer.ts';

/** `tslayer cat`: links are followed as a program in the image would. NOT_FOUND, or INVALID_ARGUMENT for no file. */
export async function* catFile(
  context: StoreContext,
  image: ImageRow,
  path: string,
  options: OperationOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const stored = await readImage(context, image);
  const root = await new LayerTrees(context, options).merged(stored);
  const found = resolveNode(root, readPath(path));
  if (!found) throw new TslayerError('NOT_FOUND', `${image.name} has no ${path}`);
  const entry = found.node.info?.entry;
  const layer = stored.layers[found.node.layer];
  if (!layer || entry?.type !== 'file') {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `${path} in ${image.name} is not a file but a ${entry?.type ?? 'directory'}`,
    );
  }
  yield* readFile(context, layer, entry, options);
}

/** The bytes of a layer's file, holes filled. */
export async function* readFile(
  context: StoreContext,
  layer: ImageLayer,
  entry: TarEntry,
  options: OperationOptions = {},
): AsyncGenerator<Uint8Array, void> {
  if (entry.size === 0) return;
  const stored = await openStored(context, layer, entry, options);
  yield* entry.segments ? filled(entry, stored) : stored;
}

/** Whether a file's bytes can be had without reading the layer up to it. */
export async function readsInPlace({ driver, metadata }: StoreContext, layer: ImageLayer): Promise<boolean> {
  if (layer.row && (await driver()).readFile) return true;
  const { digest, mediaType } = layer.descriptor;
  return layerCompression(mediaType) === 'none' && metadata.blobs.has(digest);
}

/** The stored bytes by the shortest way: from the unpacked layer, from their place in an uncompressed blob, or out of it. */
export async function openStored(
  context: StoreContext,
  layer: ImageLayer,
  entry: TarEntry,
  options: OperationOptions,
): Promise<AsyncIterable<Uint8Array>> {
  if (!(await readsInPlace(context, layer))) return storedBytes(context, layer, entry, options);
  const driver = layer.row && (await context.driver());
  if (layer.row && driver?.readFile) return driver.readFile(layer.row.id, entry);
  const { dataOffset: start, storedSize } = entry;
  return context.blobs.open(layer.descriptor.digest, { start, end: start + storedSize });
}

/** Out of the blob: the tar is read up to the file, and no further. */
async function* storedBytes(
  context: StoreContext,
  layer: ImageLayer,
  wanted: TarEntry,
  options: OperationOptions,
): AsyncGenerator<Uint8Array, void> {
  const queue: Buffer[] = [];
  let [reading, left] = [false, wanted.storedSize];
  const sink: LayerSink = {
    entry(entry) {
      // The offset tells apart entries of one name; the last one counts.
      reading = entry.dataOffset === wanted.dataOffset && byteString(entry.path) === byteString(wanted.path);
    },
    data(chunk) {
      if (!reading) return;
      left -= chunk.length;
      queue.push(Buffer.from(chunk));
    },
    whiteout: () => undefined,
    opaque: () => undefined,
    finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
    close: () => undefined,
  };
  // The reader pushes and the caller pulls: what one chunk of the blob inflates to is all that waits in between.
  for await (const _step of readLayerInSteps(context, layer, sink, {
    signal: options.signal,
    isDone: () => left <= 0,
  })) {
    for (let chunk = queue.shift(); chunk; chunk = queue.shift()) yield chunk;
  }
  if (left > 0) throw new TslayerError('MALFORMED', `${layer.descriptor.digest} has no ${byteString(wanted.path)}`);
}
