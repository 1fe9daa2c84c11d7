/** A store's content the way archives and pushes read content. */
import type { Descriptor } from '../oci/descriptor.ts';
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
