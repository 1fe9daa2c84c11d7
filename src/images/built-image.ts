/**
 * Images that are made here, published the way pulled ones are: config and manifest are documents, the layers are
 * blobs of the store, and a pull from this very store does the rest (rows, unpacking, names).
 */
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { OCI_CONFIG, OCI_MANIFEST } from '../oci/media-types.ts';
import type { OnProgress, OperationOptions } from '../progress.ts';
import type { ContentReader } from '../transports/source.ts';
import type { StoreContext } from './context.ts';
import { type PullResult, pullImage } from './pull/pull.ts';
import { archiveSource } from './pull/source.ts';
import { storeReader } from './store-reader.ts';

export interface BuiltImage {
  readonly config: Uint8Array;
  /** Base first; each is in the store. */
  readonly layers: readonly Descriptor[];
  /** Media types of the base; default: OCI's. */
  readonly mediaTypes?: { readonly manifest: string; readonly config: string } | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface PublishRequest {
  /** See `imageName`. */
  readonly names: readonly [string, ...string[]];
  /** Where it came from, for the image's row: `commit NAME`. */
  readonly source: string;
  /** Default true. */
  readonly unpack?: boolean | undefined;
}

/** Names a built image. The caller holds its layers by a lease. */
export function publishImage(
  context: StoreContext,
  image: BuiltImage,
  request: PublishRequest,
  options: OperationOptions = {},
): Promise<PullResult> {
  const documents = new Map<Digest, Uint8Array>();
  const types = image.mediaTypes ?? { manifest: OCI_MANIFEST, config: OCI_CONFIG };
  const config = addDocument(documents, types.config, image.config);
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: image.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...(image.annotations ? { annotations: image.annotations } : {}),
  };
  const root = addDocument(documents, types.manifest, Buffer.from(JSON.stringify(manifest)));
  const source = archiveSource(withDocuments(storeReader(context), documents), root, request.source);
  const { names, unpack } = request;
  return pullImage(context, { names, source, unpack, isMade: true }, { ...options, onProgress: ofNews(options) });
}

/** That the layers of a base are there, and those that were just made, is no news. */
function ofNews({ onProgress }: OperationOptions): OnProgress | undefined {
  return onProgress && ((event) => (event.type === 'layer' && event.state === 'exists') || onProgress(event));
}

function addDocument(documents: Map<Digest, Uint8Array>, mediaType: string, bytes: Uint8Array): Descriptor {
  const digest = digestOf(bytes);
  documents.set(digest, bytes);
  return { mediaType, digest, size: bytes.length };
}

/** Documents in memory in front of the store. */
function withDocuments(store: ContentReader, documents: ReadonlyMap<Digest, Uint8Array>): ContentReader {
  return {
    readManifest: async (descriptor) => documents.get(descriptor.digest) ?? store.readManifest(descriptor),
    async *openBlob(descriptor, offset = 0) {
      const bytes = documents.get(descriptor.digest);
      if (bytes) yield bytes.subarray(offset);
      else yield* store.openBlob(descriptor, offset);
    },
    has: async (descriptor) => documents.has(descriptor.digest) || store.has(descriptor),
  };
}
