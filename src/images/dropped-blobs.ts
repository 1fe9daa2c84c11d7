/**
 * Layer blobs that a store with `store.keepBlobs = false` has dropped, back from their registry for as long as a push
 * or save needs them.
 */
import { isTslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { imagesWith } from './fsck/lose-blob.ts';
import { openLease } from './lease.ts';
import { dropUnpackedBlobs, isRegistry } from './pull/drop-blobs.ts';
import { obtainLayers } from './pull/layers.ts';
import type { PullSource } from './pull/source.ts';
import { readImage } from './read-image.ts';

/** Where an image of this name is pulled from. */
export type SourceOf = (imageName: string) => Promise<PullSource | undefined>;

/**
 * Fetches what the images' manifests name and the store has dropped. Disposing drops it again. What nobody offers any
 * more stays away: whoever needs it tells.
 */
export async function bringBlobsBack(
  context: StoreContext,
  images: readonly ImageRow[],
  sourceOf: SourceOf,
  options: OperationOptions = {},
): Promise<AsyncDisposable> {
  const missing = new Map<string, Descriptor>();
  for (const { manifest } of images) {
    if (!context.metadata.blobs.lacksRefs(manifest)) continue;
    for (const layer of (await readImage(context, manifest)).manifest.layers) {
      if (!context.metadata.blobs.has(layer.digest)) missing.set(layer.digest, layer);
    }
  }
  const blobs = [...missing.values()];
  if (blobs.length === 0) return { [Symbol.asyncDispose]: async () => undefined };
  const lease = await openLease(context, 'dropped blobs');
  const giveBack = async () => {
    await lease[Symbol.asyncDispose]();
    if (!context.config.keepBlobs) await dropUnpackedBlobs(context, blobs);
  };
  try {
    lease.hold({ blobs: blobs.map(({ digest }) => digest) });
    for (const blob of blobs) await fetchBack(context, blob, sourceOf, options);
  } catch (error) {
    await giveBack();
    throw error;
  }
  return { [Symbol.asyncDispose]: giveBack };
}

/** From the first of its images' repositories that has it. */
async function fetchBack(
  context: StoreContext,
  descriptor: Descriptor,
  sourceOf: SourceOf,
  options: OperationOptions,
): Promise<void> {
  const names = imagesWith(context, descriptor.digest).filter(({ source }) => isRegistry(source));
  for (const { name } of names) {
    const source = await sourceOf(name);
    if (source === undefined) continue;
    try {
      await obtainLayers([{ descriptor, target: undefined, diffId: undefined }], { ...options, context, source });
      return;
    } catch (error) {
      // A name that was given here, or one that is gone there: another may lead to it.
      if (!isTslayerError(error, 'NOT_FOUND') && !isTslayerError(error, 'DENIED')) throw error;
    }
  }
}
