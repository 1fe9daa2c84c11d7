/** The client's write side, put together. */
import type { RegistryClient } from '../client.ts';
import type { Listings } from '../read/listings.ts';
import type { Requester } from '../requester.ts';
import type { Router } from '../router.ts';
import type { Slots } from '../transport/slots.ts';
import type { Throttle } from '../transport/throttle.ts';
import { ManifestWriter } from './manifests.ts';
import { BlobPusher } from './uploads.ts';

export interface WriterParts {
  readonly router: Router;
  readonly requester: Requester;
  readonly listings: Listings;
  readonly slots: Slots;
  readonly throttle: Throttle;
}

type Writer = Pick<RegistryClient, 'pushBlob' | 'pushManifest' | 'deleteManifest' | 'deleteBlob'>;

export function openWriter({ router, requester, listings, slots, throttle }: WriterParts): Writer {
  const blobs = new BlobPusher(router, requester, slots, throttle);
  const manifests = new ManifestWriter(router, requester, listings);
  return {
    pushBlob: (repository, source, options) => blobs.push(repository, source, options),
    pushManifest: (reference, bytes, type, options) => manifests.push(reference, bytes, type, options),
    deleteManifest: (reference, options) => manifests.delete(reference, options),
    deleteBlob: (repository, digest, options) => manifests.deleteBlob(repository, digest, options),
  };
}
