/** Blobs and small images to serve, and an embedded registry that has them. */
import { randomBytes } from 'node:crypto';
import type { RegistryClient, Repository, UploadSource } from '../../registry-client/client.ts';
import { createRegistryClient, type RegistryClientOptions } from '../../registry-client/index.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../src/oci/media-types.ts';
import { parseReference, type Reference } from '../../src/oci/reference.ts';
import { type RunningRegistry, type ServeOptions, serveRegistry } from '../../src/serve/index.ts';
import { tempDir } from './temp-dir.ts';

/** A client that reads no configuration of the machine's and waits for nothing long. */
export function testClient(options: RegistryClientOptions = {}): RegistryClient {
  const { retry, timeouts, ...rest } = options;
  return createRegistryClient({
    env: { HOME: '/nonexistent' },
    etc: '/nonexistent',
    retry: { attempts: 4, baseDelayMs: 2, maxDelayMs: 10, progressBytes: 1000, ...retry },
    timeouts: { connectMs: 10_000, responseMs: 5000, stallMs: 1500, ...timeouts },
    ...rest,
  });
}

export function bytesSource(bytes: Buffer, mediaType: string = OCI_LAYER): UploadSource {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  return {
    descriptor,
    async *open(offset) {
      for (let at = offset; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    },
  };
}

export interface TestImage {
  readonly layer: Buffer;
  readonly layerDescriptor: Descriptor;
  readonly config: Buffer;
  readonly manifest: Buffer;
  readonly descriptor: Descriptor;
}

export function makeImage(layerBytes: number): TestImage {
  const layer = randomBytes(layerBytes);
  const { descriptor: layerDescriptor } = bytesSource(layer);
  const rootfs = { type: 'layers', diff_ids: [layerDescriptor.digest] };
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs }));
  const parts = { config: bytesSource(config, OCI_CONFIG).descriptor, layers: [layerDescriptor] };
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, ...parts }));
  const descriptor = { mediaType: OCI_MANIFEST, digest: digestOf(manifest), size: manifest.length };
  return { layer, layerDescriptor, config, manifest, descriptor };
}

export async function pushImage(client: RegistryClient, reference: Reference, image: TestImage): Promise<void> {
  await client.pushBlob(reference, bytesSource(image.config, OCI_CONFIG));
  await client.pushBlob(reference, bytesSource(image.layer));
  await client.pushManifest(reference, image.manifest, OCI_MANIFEST);
}

export interface TestRegistry extends AsyncDisposable {
  readonly registry: RunningRegistry;
  readonly dir: string;
}

/** A writable embedded registry in a directory of its own. */
export async function startRegistry(options: Partial<ServeOptions> = {}): Promise<TestRegistry> {
  const dir = tempDir('registry');
  const registry = await serveRegistry({ layoutDir: dir.path, writable: true, ...options });
  return {
    registry,
    dir: dir.path,
    async [Symbol.asyncDispose]() {
      await registry.close();
      dir[Symbol.dispose]();
    },
  };
}

/** The same registry with an image in it, under `library/test:v1`. */
export async function startRegistryWith(image: TestImage): Promise<TestRegistry> {
  const started = await startRegistry();
  const client = testClient();
  await pushImage(client, parseReference(`${started.registry.host}/library/test:v1`), image);
  await client.close();
  return started;
}

/** The whole blob from `offset` on; rejects as the stream does. */
export async function readBlob(
  client: RegistryClient,
  repository: Repository,
  descriptor: Descriptor,
  options: { readonly offset?: number; readonly signal?: AbortSignal } = {},
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await client.fetchBlob(repository, descriptor, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
