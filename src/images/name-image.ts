/** Puts an image's rows: the stack of its layers and its names. For everything that makes an image known. */
import type { ImageRow } from '../metadata/images.ts';
import { chainIDs } from '../oci/chain-id.ts';
import type { DiffID } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import { formatReference, nameOf } from '../oci/reference.ts';
import type { StoreContext } from './context.ts';

export interface NewImage extends Omit<ImageRow, 'name' | 'chainId' | 'pulledAt' | 'usedAt'> {
  /** Canonical text; see `imageName`. */
  readonly names: readonly string[];
  /** Base first. With `unpacked`, each layer has its row. */
  readonly diffIds: readonly DiffID[];
}

/** The name that a reference has in the store: with a digest its tag says nothing. */
export function imageName(reference: Reference): string {
  return reference.digest === undefined ? formatReference(reference) : `${nameOf(reference)}@${reference.digest}`;
}

/**
 * Names an image whose blobs have rows. Call it inside `changeNames`, and `publishNames` after that. Names that
 * stood for something else move; what they stood for stays until it is collected.
 */
export function putImage({ metadata }: StoreContext, image: NewImage): void {
  const { names, diffIds, ...row } = image;
  const now = Date.now();
  const chains = chainIDs(diffIds);
  if (image.unpacked) {
    const independent = metadata.settings.get('stacking') !== 'sequential';
    chains.forEach((chain, i) => {
      const diffId = diffIds[i] as DiffID;
      metadata.snapshots.putChain(chain, chains[i - 1], independent ? diffId : chain, now);
    });
    metadata.images.setUnpacked(image.manifest, true);
  }
  const chainId = chains.at(-1) ?? null;
  // Another name may have brought the same stack.
  const unpacked = image.unpacked || (chainId !== null && metadata.snapshots.hasChain(chainId));
  for (const name of names) {
    const before = metadata.images.get(name);
    const allPlatforms = image.allPlatforms || (before?.target === image.target && before.allPlatforms);
    metadata.images.put({ ...row, name, chainId, unpacked, allPlatforms, pulledAt: now, usedAt: now });
  }
}
