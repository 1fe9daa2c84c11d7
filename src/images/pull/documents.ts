/**
 * The documents of an image: index, manifests, configs. Each is verified before it is parsed, taken from the store
 * when it is there, and stored beside the work that it makes possible; rows come at the end, with the name.
 */
import type { FetchedManifest } from '../../../registry-client/client.ts';
import { TslayerError } from '../../errors.ts';
import type { BlobKind } from '../../metadata/blobs.ts';
import { checkLayerCount, type ImageConfig, MAX_CONFIG_BYTES, parseConfig } from '../../oci/config.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, verifyBytes } from '../../oci/digest.ts';
import { type ImageManifest, type Manifest, parseManifest } from '../../oci/manifest.ts';
import { DOCKER_CONFIG, OCI_CONFIG } from '../../oci/media-types.ts';
import type { OperationOptions } from '../../progress.ts';
import type { StoreContext } from '../context.ts';
import type { Lease } from '../lease.ts';
import type { PullSource } from './source.ts';

/** A stored document on its way to a row. */
export interface DocumentRecord {
  readonly descriptor: Descriptor;
  readonly kind: BlobKind;
  readonly children: readonly Descriptor[];
}

/** A manifest with what it names. */
export interface FetchedImage {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  /** Undefined when the config is none of an image (artifacts). */
  readonly config: ImageConfig | undefined;
}

export class Documents {
  readonly records: DocumentRecord[] = [];
  /** Who answered first; undefined while everything came from the store. */
  endpoint: string | undefined;
  readonly #context: StoreContext;
  readonly #source: PullSource;
  readonly #lease: Lease;
  readonly #options: OperationOptions;
  readonly #writes: Promise<unknown>[] = [];

  constructor(context: StoreContext, source: PullSource, lease: Lease, options: OperationOptions) {
    this.#context = context;
    this.#source = source;
    this.#lease = lease;
    this.#options = options;
  }

  /** An index or manifest by its descriptor; without one, what the source's name stands for. */
  async manifest(wanted: Descriptor | undefined): Promise<{ descriptor: Descriptor; manifest: Manifest }> {
    if (wanted) this.#lease.hold({ blobs: [wanted.digest] });
    const stored = wanted && this.#context.metadata.blobs.get(wanted.digest);
    const { descriptor, bytes } =
      wanted && stored
        ? {
            descriptor: { ...wanted, mediaType: stored.mediaType },
            bytes: await this.#context.blobs.read(wanted.digest),
          }
        : await this.#fetch(wanted);
    const what = `manifest ${descriptor.digest}`;
    if (wanted && wanted.digest !== descriptor.digest) {
      throw new TslayerError('DIGEST_MISMATCH', `manifest: expected ${wanted.digest}, found ${descriptor.digest}`);
    }
    if (wanted && wanted.size !== bytes.length) {
      throw new TslayerError('SIZE_MISMATCH', `${what}: expected ${wanted.size} bytes, found ${bytes.length}`);
    }
    verifyBytes(bytes, descriptor.digest, 'manifest');
    const manifest = parseManifest(bytes, descriptor.mediaType, what);
    const kept = { ...descriptor, mediaType: manifest.mediaType, size: bytes.length };
    const children = manifest.kind === 'index' ? manifest.manifests : [manifest.config, ...manifest.layers];
    this.#keep(kept, manifest.kind, children, bytes);
    return { descriptor: kept, manifest };
  }

  async #fetch(wanted: Descriptor | undefined): Promise<FetchedManifest> {
    const fetched = await this.#source.fetchManifest(wanted, this.#options);
    this.endpoint ??= fetched.endpoint;
    return fetched;
  }

  /** A manifest's config, parsed when it is one of an image. */
  async image(descriptor: Descriptor, manifest: ImageManifest): Promise<FetchedImage> {
    const { config } = manifest;
    const bytes = await this.#configBytes(config);
    this.#keep(config, 'config', [], bytes);
    if (config.mediaType !== OCI_CONFIG && config.mediaType !== DOCKER_CONFIG) {
      return { descriptor, manifest, config: undefined };
    }
    const parsed = parseConfig(bytes, `config ${config.digest}`);
    checkLayerCount(manifest, parsed, `manifest ${descriptor.digest}`);
    return { descriptor, manifest, config: parsed };
  }

  /** Resolves when all documents are durable. */
  async stored(): Promise<void> {
    await Promise.all(this.#writes);
  }

  /** Waits for the writes that have begun, however they end. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#writes);
  }

  async #configBytes(descriptor: Descriptor): Promise<Uint8Array> {
    const what = `config ${descriptor.digest}`;
    if (descriptor.size > MAX_CONFIG_BYTES) {
      throw new TslayerError('LIMIT_EXCEEDED', `${what} has ${descriptor.size} bytes, more than ${MAX_CONFIG_BYTES}`);
    }
    this.#lease.hold({ blobs: [descriptor.digest] });
    if (this.#context.metadata.blobs.has(descriptor.digest)) return this.#context.blobs.read(descriptor.digest);
    const bytes = await this.#fetchWhole(descriptor);
    verifyBytes(bytes, descriptor.digest, 'config');
    return bytes;
  }

  async #fetchWhole(descriptor: Descriptor): Promise<Uint8Array> {
    const stream = await this.#source.fetchBlob(descriptor, this.#options);
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      for await (const chunk of stream) {
        length += chunk.length;
        if (length > descriptor.size) break;
        chunks.push(chunk);
      }
    } finally {
      stream.close();
    }
    if (length !== descriptor.size) {
      const found = length > descriptor.size ? 'more' : String(length);
      throw new TslayerError(
        'SIZE_MISMATCH',
        `config ${descriptor.digest}: expected ${descriptor.size} bytes, found ${found}`,
      );
    }
    return Buffer.concat(chunks);
  }

  #keep(descriptor: Descriptor, kind: BlobKind, children: readonly Descriptor[], bytes: Uint8Array): void {
    this.#lease.hold({ blobs: [descriptor.digest] });
    this.records.push({ descriptor, kind, children });
    if (this.#context.metadata.blobs.has(descriptor.digest)) return;
    const write = this.#context.blobs.put(descriptor.digest, bytes);
    write.catch(() => undefined);
    this.#writes.push(write);
  }
}

/** Writes the rows of documents; their bytes are durable. */
export function recordDocuments({ metadata }: StoreContext, records: readonly DocumentRecord[]): void {
  const addedAt = Date.now();
  for (const { descriptor, kind, children } of records) {
    recordBlob(metadata, descriptor, kind, addedAt);
    metadata.blobs.putRefs(descriptor.digest, children);
  }
}

/** The row of a blob that is there. If it was about to be removed, it is not any more. */
export function recordBlob(
  metadata: StoreContext['metadata'],
  descriptor: Descriptor,
  kind: BlobKind,
  addedAt: number = Date.now(),
): void {
  const { digest, size, mediaType } = descriptor;
  metadata.blobs.put({ digest, size, kind, mediaType, addedAt });
  metadata.garbage.delete('blob', digest as Digest);
}
