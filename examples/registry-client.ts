/**
 * The registry client by itself: lists a repository's tags and downloads an image's first layer into a file, checking
 * its digest as it flows. No store, no root, nothing else of tslayer.
 *
 *     node examples/registry-client.ts docker.io/library/alpine layer.tar.gz
 *
 * Without a reference it makes a registry of its own on loopback and pushes a small image to it first.
 */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { serveRegistry } from 'tslayer';
import {
  createRegistryClient,
  digestOf,
  hostPlatform,
  parseManifest,
  parseReference,
  type Reference,
  type RegistryClient,
  selectPlatform,
} from 'tslayer/registry-client';

const directory = await mkdtemp(join(tmpdir(), 'registry-client-'));
await using registry = await serveRegistry({ layoutDir: join(directory, 'layout'), writable: true });
const client = createRegistryClient();
try {
  const [name, file = join(directory, 'layer')] = process.argv.slice(2);
  const reference = name === undefined ? await pushSmallImage(client, registry.host) : parseReference(name);
  await listTags(client, reference);
  await downloadFirstLayer(client, reference, file);
} finally {
  await client.close();
  await rm(directory, { recursive: true, force: true });
}

async function listTags(client: RegistryClient, reference: Reference): Promise<void> {
  for await (const tag of client.listTags(reference)) console.log(`tag ${tag}`);
}

async function downloadFirstLayer(client: RegistryClient, reference: Reference, file: string): Promise<void> {
  let { bytes, descriptor } = await client.fetchManifest(reference);
  let manifest = parseManifest(bytes, descriptor.mediaType);
  if (manifest.kind === 'index') {
    const { digest } = selectPlatform(manifest.manifests, hostPlatform(), 'the image');
    ({ bytes, descriptor } = await client.fetchManifest({ ...reference, digest }));
    manifest = parseManifest(bytes, descriptor.mediaType);
  }
  const layer = manifest.kind === 'manifest' ? manifest.layers[0] : undefined;
  if (!layer) throw new Error('the image has no layers');
  // Broken connections, mirrors and tokens are the client's business; the digest is ours.
  const hash = createHash('sha256');
  const onProgress = (event: { type: string }) => console.log(JSON.stringify(event));
  const blob = await client.fetchBlob(reference, layer, { onProgress });
  await pipeline(
    blob,
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(file),
  );
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== layer.digest) throw new Error(`expected ${layer.digest}, found ${found}`);
  console.log(`${layer.digest} from ${blob.endpoint}: ${layer.size} bytes in ${file}`);
}

async function pushSmallImage(client: RegistryClient, host: string): Promise<Reference> {
  const reference = parseReference(`${host}/examples/hello:latest`);
  const push = async (mediaType: string, text: string) => {
    const bytes = Buffer.from(text);
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    const open = async function* (offset: number) {
      yield bytes.subarray(offset);
    };
    await client.pushBlob(reference, { descriptor, open });
    return descriptor;
  };
  const layer = await push(
    'application/vnd.oci.image.layer.v1.tar',
    'not really a tar, but the registry does not look',
  );
  const config = await push('application/vnd.oci.image.config.v1+json', '{"architecture":"amd64","os":"linux"}');
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers: [layer] }));
  await client.pushManifest(reference, manifest, type);
  return reference;
}
