/** The layers of an image in the store: what its manifest and config say, and where they are unpacked. */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { LayerRow } from '../metadata/layers.ts';
import { chainIDs } from '../oci/chain-id.ts';
import { checkLayerCount, type ImageConfig, parseConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ChainID, DiffID } from '../oci/digest.ts';
import { type ImageManifest, parseManifest } from '../oci/manifest.ts';
import type { StoreContext } from './context.ts';
import { parseRawConfig, type RawConfig } from './next-config.ts';

export interface ImageLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffID;
  readonly chainId: ChainID;
  /** Undefined while it is not unpacked. */
  readonly row: LayerRow | undefined;
}

export interface StoredImage {
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
  /** The config with everything in it, for making another one from it. */
  readonly rawConfig: RawConfig;
  /** Base first. */
  readonly layers: readonly ImageLayer[];
}

/** Throws MALFORMED or UNSUPPORTED for what is no image with layers. */
export async function readImage(
  context: StoreContext,
  image: Pick<ImageRow, 'name' | 'manifest'>,
): Promise<StoredImage> {
  const manifest = parseManifest(await context.blobs.read(image.manifest), undefined, `the manifest of ${image.name}`);
  if (manifest.kind !== 'manifest') throw new TslayerError('UNSUPPORTED', `${image.name} is an index, not an image`);
  const bytes = await context.blobs.read(manifest.config.digest);
  const config = parseConfig(bytes, `the config of ${image.name}`);
  checkLayerCount(manifest, config, image.name);
  const chains = chainIDs(config.diffIDs);
  const layers = manifest.layers.map((descriptor, i) => {
    const [diffId, chainId] = [config.diffIDs[i], chains[i]] as [DiffID, ChainID];
    return { descriptor, diffId, chainId, row: findLayer(context, diffId, chainId) };
  });
  return { manifest, config, rawConfig: parseRawConfig(bytes, `the config of ${image.name}`), layers };
}

/** Drivers that stack independently keep a layer by its diffID, the others by its chainID. */
function findLayer({ metadata }: StoreContext, diffId: DiffID, chainId: ChainID): LayerRow | undefined {
  return metadata.layers.get(diffId) ?? metadata.layers.get(chainId);
}
