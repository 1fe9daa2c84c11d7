/**
 * `store.keepBlobs = false`: the compressed blob of a layer that came from a registry goes once the layer is unpacked.
 * It costs what it saves the day the image is pushed, saved or repaired: then the blob is fetched again. What was made
 * here or came from an archive could not be: it stays.
 */
import type { Descriptor } from '../../oci/descriptor.ts';
import { removeDropped } from '../collect.ts';
import type { StoreContext } from '../context.ts';

/** Whether an image's source is a registry. */
export function isRegistry(source: string): boolean {
  return /^https?:\/\//.test(source);
}

export async function dropUnpackedBlobs(context: StoreContext, layers: readonly Descriptor[]): Promise<void> {
  const { metadata } = context;
  const session = await context.session.open();
  const dropped = metadata.transaction(
    () =>
      layers.filter(({ digest }) => {
        const diff = metadata.blobs.diffOf(digest);
        // Another pull may rely on it, one that does not unpack.
        if (!diff || !metadata.layers.hasDiff(diff.diffId) || metadata.leases.holds('blob', digest)) return false;
        if (!metadata.blobs.delete(digest)) return false;
        metadata.garbage.put({ kind: 'blob', key: digest, session });
        return true;
      }),
    { durable: true },
  );
  const blobs = dropped.map(({ digest, size }) => ({ digest, bytes: size }));
  await removeDropped(context, { blobs, layers: [], chains: [] }, session);
}
