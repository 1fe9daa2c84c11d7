/** A store's content the way archives and pushes read content. */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Platform } from '../oci/platform.ts';
import type { ContentReader } from '../transports/source.ts';
import type { StoreContext } from './context.ts';

export function storeReader({ metadata, blobs }: StoreContext): ContentReader {
  return {
    readManifest: ({ digest }) => blobs.read(digest),
    openBlob: ({ digest }, offset = 0) => blobs.open(digest, { start: offset }),
    // The row decides: a file without one may be half of something.
    has: ({ digest }) => Promise.resolve(metadata.blobs.has(digest)),
  };
}

/** The descriptor of what is stored under a digest. Throws NOT_FOUND. */
export function storedDescriptor({ metadata }: StoreContext, digest: Descriptor['digest']): Descriptor | undefined {
  const row = metadata.blobs.get(digest);
  return row && { mediaType: row.mediaType, digest, size: row.size };
}

/** What is saved or pushed: what the name stands for, or with a platform that image alone. */
export function rootOf(context: StoreContext, image: ImageRow, platform: Platform | undefined): Descriptor {
  const digest = platform === undefined ? image.target : image.manifest;
  const root = storedDescriptor(context, digest);
  if (!root) throw new TslayerError('NOT_FOUND', `${image.name}: ${digest} is not in the store`);
  return root;
}
