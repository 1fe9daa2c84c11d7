/** What a pull has to do: one job for each layer to unpack and each blob to fetch, none of them twice. */
import type { StorageDriver } from '../../../drivers/driver.ts';
import { TslayerError } from '../../errors.ts';
import type { LayerKey } from '../../metadata/layers.ts';
import { chainIDs } from '../../oci/chain-id.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { ChainID, DiffID } from '../../oci/digest.ts';
import { layerCompression } from '../../oci/media-types.ts';
import type { FetchedImage } from './documents.ts';

/** A layer to be unpacked: its place in the stack. */
export interface LayerTarget {
  readonly key: LayerKey;
  readonly diffId: DiffID;
  readonly chainId: ChainID;
  readonly parent: ChainID | undefined;
}

/** A blob to have; with `target` also unpacked, with `diffId` alone checked to be that tar. */
export interface LayerJob {
  readonly descriptor: Descriptor;
  readonly target: LayerTarget | undefined;
  readonly diffId: DiffID | undefined;
}

/** Refuses what cannot be unpacked before anything is fetched. */
export function requireUnpackable(image: FetchedImage): void {
  const { manifest, config, descriptor } = image;
  const hint = 'pull it with --no-unpack to keep it as it is';
  if (config === undefined) {
    const type = manifest.artifactType ?? manifest.config.mediaType;
    throw new TslayerError('UNSUPPORTED', `${descriptor.digest} is no image but ${type}`, { hint });
  }
  for (const layer of manifest.layers) {
    if (layerCompression(layer.mediaType) === undefined) {
      throw new TslayerError('UNSUPPORTED', `layer ${layer.digest} is no file-system layer but ${layer.mediaType}`, {
        hint,
      });
    }
  }
}

/** Jobs for the image that is unpacked, base first. */
export function planUnpack(image: FetchedImage, stacking: StorageDriver['stacking']): LayerJob[] {
  const diffIds = image.config?.diffIDs ?? [];
  const chains = chainIDs(diffIds);
  const seen = new Set<string>();
  return image.manifest.layers.flatMap((descriptor, i): LayerJob[] => {
    const [diffId, chainId] = [diffIds[i], chains[i]];
    if (diffId === undefined || chainId === undefined) return [];
    const key = stacking === 'independent' ? diffId : chainId;
    const isNew = !seen.has(key);
    seen.add(key);
    const isNewBlob = !seen.has(descriptor.digest);
    seen.add(descriptor.digest);
    if (isNew) return [{ descriptor, diffId, target: { key, diffId, chainId, parent: chains[i - 1] } }];
    // The same layer again; in another compression it is a blob of its own.
    return isNewBlob ? [{ descriptor, diffId, target: undefined }] : [];
  });
}

/** Jobs for an image whose blobs are only kept. */
export function planFetch(image: FetchedImage): LayerJob[] {
  return image.manifest.layers.map((descriptor) => ({ descriptor, target: undefined, diffId: undefined }));
}

/** Jobs of several images together: what is unpacked first, each blob once. */
export function mergePlans(plans: readonly (readonly LayerJob[])[]): LayerJob[] {
  const seen = new Set<string>();
  return plans.flat().filter((job) => {
    const name = job.target?.key ?? job.descriptor.digest;
    const isNew = !seen.has(name) && (job.target !== undefined || !seen.has(job.descriptor.digest));
    seen.add(name);
    seen.add(job.descriptor.digest);
    return isNew;
  });
}
