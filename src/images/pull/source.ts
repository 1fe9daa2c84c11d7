/** Where a pull takes an image from: a registry, or an archive that is seen the same way. */
import type {
  BlobStream,
  FetchBlobOptions,
  FetchedManifest,
  RegistryClient,
  ResolvedManifest,
} from '../../../registry-client/client.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { digestOf } from '../../oci/digest.ts';
import { canonicalReference, type Reference } from '../../oci/reference.ts';
import type { OperationOptions } from '../../progress.ts';

export interface PullSource {
  /** Whether what it offers can be had again another day: a registry's, not an archive's. */
  readonly lasts: boolean;
  /** What the name stands for now, by the cheapest way there is. */
  resolve(options: OperationOptions): Promise<ResolvedManifest>;
  /** The bytes of what the name stands for (no descriptor) or of a manifest that it leads to. */
  fetchManifest(descriptor: Descriptor | undefined, options: OperationOptions): Promise<FetchedManifest>;
  /** A blob's bytes from an offset on; the caller hashes them. */
  fetchBlob(descriptor: Descriptor, options: FetchBlobOptions): Promise<BlobStream>;
}

export function registrySource(client: RegistryClient, reference: Reference): PullSource {
  return {
    lasts: true,
    resolve: (options) => client.resolve(reference, options),
    fetchManifest: (descriptor, options) => {
      const wanted = descriptor === undefined ? reference : canonicalReference(reference, descriptor.digest);
      return client.fetchManifest(wanted, options);
    },
    fetchBlob: (descriptor, options) => client.fetchBlob(reference, descriptor, options),
  };
}

/** What an archive offers, as transports/source.ts says it. */
export interface ContentReader {
  readManifest(descriptor: Descriptor): Promise<Uint8Array>;
  openBlob(descriptor: Descriptor, offset?: number): AsyncIterable<Uint8Array>;
}

/** `label` names the archive in rows and events: `oci:/tmp/layout`. */
export function archiveSource(archive: ContentReader, root: Descriptor, label: string): PullSource {
  return {
    lasts: false,
    resolve: async () => ({ descriptor: root, endpoint: label }),
    fetchManifest: async (descriptor = root) => {
      const bytes = await archive.readManifest(descriptor);
      const digest = digestOf(bytes, descriptor.digest.startsWith('sha512') ? 'sha512' : 'sha256');
      return { descriptor: { ...descriptor, digest, size: bytes.length }, bytes, endpoint: label };
    },
    fetchBlob: async (descriptor, options) => {
      const iterator = archive.openBlob(descriptor, options.offset ?? 0)[Symbol.asyncIterator]();
      return {
        endpoint: label,
        [Symbol.asyncIterator]: () => iterator,
        close: () => void iterator.return?.(),
      };
    },
  };
}
