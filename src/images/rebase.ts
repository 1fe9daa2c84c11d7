/**
 * `tslayer rebase`: an image's own layers on a newer base, by their digests: nothing is unpacked or built. It fits
 * where the layers only add to the base, as applications do.
 */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { HistoryEntry } from '../oci/config.ts';
import type { Reference } from '../oci/reference.ts';
import { type NewImageOptions, publishLayers } from './commit.ts';
import type { StoreContext } from './context.ts';
import { historyOf, keptHistory } from './history.ts';
import { readImage, type StoredImage } from './image-layers.ts';
import { openLease } from './lease.ts';
import { creationDate, sourceDateEpoch } from './next-config.ts';
import type { PullResult } from './pull/pull.ts';

export interface RebaseRequest {
  readonly image: ImageRow;
  /** The base to come. */
  readonly onto: ImageRow;
  /** The base it has. Default: the image of the store with the most layers in common at the bottom. */
  readonly from?: ImageRow | undefined;
}

export interface RebaseResult extends PullResult {
  /** Name of the base that was replaced, and how many layers of it. */
  readonly replaced: { readonly base: string; readonly layers: number };
}

/** @throws INVALID_ARGUMENT when the image is not built on `from`, NOT_FOUND when no base of it is in the store */
export async function rebaseImage(
  context: StoreContext,
  { image, onto, from }: RebaseRequest,
  reference: Reference,
  options: Omit<NewImageOptions, 'compression' | 'level'> = {},
): Promise<RebaseResult> {
  const own = await readImage(context, image);
  const base = from ?? (await findBase(context, own, image));
  const before = await readImage(context, base);
  const count = before.layers.length;
  if (count === 0 || !isPrefix(before, own)) {
    throw new TslayerError('INVALID_ARGUMENT', `${image.name} is not built on ${base.name}`, {
      hint: 'its lowest layers are others; see tslayer layers',
    });
  }
  const next = await readImage(context, onto);
  const upper = own.layers.slice(count);
  const ownHistory = historyOf(own).slice(keptHistory(historyOf(own), count).length);
  const created = creationDate(options.epoch ?? sourceDateEpoch());
  const history: HistoryEntry[] = [...historyOf(next), ...ownHistory];
  await using lease = await openLease(context, `rebase ${image.name}`);
  lease.hold({ blobs: [...next.layers, ...upper].map((layer) => layer.descriptor.digest) });
  const result = await publishLayers(
    context,
    { layers: next.layers, rawConfig: own.rawConfig, history },
    upper,
    [],
    created,
    { reference, source: `rebase ${image.name}`, options },
  );
  return { ...result, replaced: { base: base.name, layers: count } };
}

function isPrefix(base: StoredImage, image: StoredImage): boolean {
  return (
    base.layers.length < image.layers.length &&
    base.layers.every((layer, i) => layer.diffId === image.layers[i]?.diffId)
  );
}

async function findBase(context: StoreContext, own: StoredImage, image: ImageRow): Promise<ImageRow> {
  // The chainID of each of the image's stacks names the images that end there.
  for (const { chainId } of own.layers.slice(0, -1).reverse()) {
    const [found] = context.metadata.images.byChain(chainId);
    if (found) return found;
  }
  throw new TslayerError('NOT_FOUND', `no base of ${image.name} is in the store`, {
    hint: 'pull the base that it was built on, or name it with --from',
  });
}
