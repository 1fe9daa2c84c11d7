/** `tslayer export`: the file system that an image or a snapshot shows, as one tar. */

import { packLayer } from '../archive/pack.ts';
import { type TarItem, writeTar } from '../archive/tar-writer.ts';
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import { chainID } from '../oci/chain-id.ts';
import type { OperationOptions } from '../progress.ts';
import { asBase, nonEmpty, packOptions } from './commit.ts';
import type { StoreContext } from './context.ts';
import { snapshotChanges } from './diff-snapshot.ts';
import { flattenLayers } from './flatten.ts';
import { type ImageLayer, readImage } from './image-layers.ts';
import { openLease } from './lease.ts';
import { addLayerBlob } from './new-blob.ts';
import { withParents } from './with-parents.ts';

/** An image, unmounted. The same image gives the same tar. */
export async function* exportImage(
  context: StoreContext,
  image: ImageRow,
  options: OperationOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const { layers } = await readImage(context, image);
  yield* writeTar(flattenLayers(context, layers, 0, options), { signal: options.signal });
}

/**
 * A writable snapshot as it is now, mounted or not. Its changes are packed (uncompressed, gone afterwards) so that
 * they are a layer like those below them. NOT_FOUND.
 */
export async function* exportSnapshot(
  context: StoreContext,
  name: string,
  options: OperationOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const row = context.metadata.snapshots.get(name);
  if (row?.kind !== 'active') throw new TslayerError('NOT_FOUND', `no writable snapshot is called ${name}`);
  const base = row.manifest ? asBase(await readImage(context, { name, manifest: row.manifest })) : undefined;
  const layers = base?.layers ?? [];
  await using lease = await openLease(context, `export ${name}`);
  const changes: AsyncGenerator<TarItem, void> = withParents(context, { layers }, snapshotChanges(context, name));
  const items = await nonEmpty(changes);
  const all: ImageLayer[] = [...layers];
  if (items) {
    const packing = packOptions({ ...options, compression: 'none' }, undefined);
    const layer = await addLayerBlob(context, lease, (file) =>
      packLayer(items, packing, (chunk) => file.writeFile(chunk)),
    );
    all.push({ ...layer, chainId: chainID(layers.at(-1)?.chainId, layer.diffId), row: undefined });
  }
  yield* writeTar(flattenLayers(context, all, 0, options), { signal: options.signal });
}
