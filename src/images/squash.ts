/** `tslayer squash`: the upper layers of an image, or all of them, as one, without what they hid from each other. */
import { packLayer } from '../archive/pack.ts';
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { Reference } from '../oci/reference.ts';
import { asBase, historyEntry, type NewImageOptions, nonEmpty, packOptions, publishLayers } from './commit.ts';
import type { StoreContext } from './context.ts';
import { flattenLayers } from './flatten.ts';
import { historyOf, keptHistory } from './history.ts';
import { readImage } from './image-layers.ts';
import { openLease } from './lease.ts';
import { addLayerBlob } from './new-blob.ts';
import { creationDate, sourceDateEpoch } from './next-config.ts';
import type { PullResult } from './pull/pull.ts';

export interface SquashOptions extends NewImageOptions {
  /** Layers from the base that stay as they are, shared with other images. Default 0: one layer is left. */
  readonly keep?: number | undefined;
}

export async function squashImage(
  context: StoreContext,
  image: ImageRow,
  reference: Reference,
  options: SquashOptions = {},
): Promise<PullResult> {
  const { keep = 0 } = options;
  const stored = await readImage(context, image);
  if (!Number.isInteger(keep) || keep < 0 || keep >= stored.layers.length) {
    const count = stored.layers.length;
    throw new TslayerError('INVALID_ARGUMENT', `${image.name} has ${count} layers: of them ${keep} cannot be kept`);
  }
  const epoch = options.epoch ?? sourceDateEpoch();
  // The image is the same one: without an epoch it keeps its date.
  const created = epoch === undefined ? (stored.config.created ?? creationDate(undefined)) : creationDate(epoch);
  await using lease = await openLease(context, `squash ${image.name}`);
  const items = await nonEmpty(flattenLayers(context, stored.layers, keep, options));
  const layers = items
    ? [
        await addLayerBlob(context, lease, (file) =>
          packLayer(items, packOptions(options, epoch), (chunk) => file.writeFile(chunk)),
        ),
      ]
    : [];
  const base = {
    ...asBase(stored),
    layers: stored.layers.slice(0, keep),
    history: keptHistory(historyOf(stored), keep),
  };
  const entry = historyEntry('tslayer squash', options, created, layers.length === 0);
  return await publishLayers(context, base, layers, [entry], created, {
    reference,
    source: `squash ${image.name}`,
    options,
  });
}
