/** Manifest and config of a stored image, parsed; verified once more on the way from the disk. */

import { TslayerError } from '../errors.ts';
import { type ImageConfig, parseConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type ImageManifest, parseManifest } from '../oci/manifest.ts';
import { DOCKER_CONFIG, OCI_CONFIG } from '../oci/media-types.ts';
import type { StoreContext } from './context.ts';

export interface StoredImage {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly manifestBytes: Uint8Array;
  /** Undefined when the config is none of an image (artifacts). */
  readonly config: ImageConfig | undefined;
  readonly configBytes: Uint8Array;
}

/**
 * @throws NOT_FOUND when a part is not in the store, DIGEST_MISMATCH when it is damaged
 */
export async function readImage(context: StoreContext, digest: Digest): Promise<StoredImage> {
  const { metadata, blobs } = context;
  const row = metadata.blobs.get(digest);
  const manifestBytes = await blobs.read(digest);
  const manifest = parseManifest(manifestBytes, row?.mediaType, `manifest ${digest}`);
  if (manifest.kind === 'index') throw new TslayerError('MALFORMED', `${digest} is an index, not an image`);
  const configBytes = await blobs.read(manifest.config.digest);
  const isImage = manifest.config.mediaType === OCI_CONFIG || manifest.config.mediaType === DOCKER_CONFIG;
  return {
    descriptor: { mediaType: manifest.mediaType, digest, size: manifestBytes.length },
    manifest,
    manifestBytes,
    config: isImage ? parseConfig(configBytes, `config ${manifest.config.digest}`) : undefined,
    configBytes,
  };
}
