/** Puts an image's rows: the stack of its layers and its names. For everything that makes an image known. */
import type { ImageRow } from '../metadata/images.ts';
import { chainID, chainIDs } from '../oci/chain-id.ts';
import type { ChainID, DiffID } from '../oci/digest.ts';
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
export function putImage(context: StoreContext, image: NewImage): void {
  const { metadata } = context;
  const { names, diffIds, ...row } = image;
  const now = Date.now();
  if (image.unpacked) {
    putChains(context, diffIds);
    metadata.images.setUnpacked(image.manifest, true);
  }
  const chainId = chainIDs(diffIds).at(-1) ?? null;
  // Another name may have brought the same stack.
  const unpacked = image.unpacked || (chainId !== null && metadata.snapshots.hasChain(chainId));
  for (const name of names) {
    const before = metadata.images.get(name);
    const allPlatforms = image.allPlatforms || (before?.target === image.target && before.allPlatforms);
    metadata.images.put({ ...row, name, chainId, unpacked, allPlatforms, pulledAt: now, usedAt: now });
  }
}

/** The committed snapshots of a stack whose layers, base first, all have their rows. Inside a transaction. */
export function putChains({ metadata }: StoreContext, diffIds: readonly DiffID[]): void {
  const sequential = metadata.settings.get('stacking') === 'sequential';
  const createdAt = Date.now();
  let parent: ChainID | undefined;
  for (const diffId of diffIds) {
    const chain = chainID(parent, diffId);
    metadata.snapshots.putChain(chain, parent, sequential ? chain : diffId, createdAt);
    parent = chain;
  }
}
