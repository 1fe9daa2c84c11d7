/**
 * Writes Docker archives in the form of docker before 25: configs, uncompressed layers named by their diffIDs, and
 * manifest.json. Config digests (docker's image ids) and diffIDs stay; manifests have no place in this format.
 */
import type { Transform } from 'node:stream';
import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { TslayerError } from '../errors.ts';
import { checkLayerCount, parseConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type DiffID, verifyBytes } from '../oci/digest.ts';
import { layerCompression } from '../oci/media-types.ts';
import { hostPlatform } from '../oci/platform.ts';
import { closureOf } from './closure.ts';
import { DOCKER_MANIFEST_FILE } from './docker-archive.ts';
import { dockerFileName, dockerName, type ImageToSave, manifestFor, type SaveOptions } from './save.ts';
import type { ContentReader } from './source.ts';
import { tarArchive } from './tar-writer.ts';
import { verified } from './verified.ts';

export interface DockerSaveOptions extends SaveOptions {
  /** A layer's uncompressed bytes, where they are known: saves unpacking it once more to count them. */
  readonly layerSize?: ((diffID: DiffID) => number | undefined) | undefined;
}

const CHUNK = 1024 * 1024;

export async function* dockerArchive(
  reader: ContentReader,
  images: readonly ImageToSave[],
  options: DockerSaveOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const plans = await Promise.all(images.map((image) => planImage(reader, image, options)));
  yield* tarArchive(async (tar) => {
    const written = new Set<string>();
    for (const { config, configName, layers } of plans) {
      for (const { name, descriptor, diffID } of layers) {
        if (written.has(name)) continue;
        written.add(name);
        const size = options.layerSize?.(diffID) ?? (await countBytes(uncompressed(reader, descriptor)));
        await tar.file(name, size, verified(uncompressed(reader, descriptor), { digest: diffID as never, size }));
        options.onBlob?.(descriptor);
      }
      if (!written.has(configName)) await tar.file(configName, config.length, config);
      written.add(configName);
    }
    const list = plans.map(({ item }) => item);
    const bytes = Buffer.from(JSON.stringify(list));
    await tar.file(DOCKER_MANIFEST_FILE, bytes.length, bytes);
  });
}

interface ImagePlan {
  readonly config: Uint8Array;
  readonly configName: string;
  readonly layers: readonly { readonly name: string; readonly descriptor: Descriptor; readonly diffID: DiffID }[];
  readonly item: object;
}

async function planImage(reader: ContentReader, image: ImageToSave, options: SaveOptions): Promise<ImagePlan> {
  const closure = await closureOf(reader, [image.root]);
  const manifest = manifestFor(image.root, closure, options.platform ?? hostPlatform());
  if (!manifest) throw new TslayerError('UNSUPPORTED', `${image.root.digest} has no image that docker could load`);
  const config = await reader.readManifest(manifest.config);
  verifyBytes(config, manifest.config.digest, 'the image config');
  const parsed = parseConfig(config);
  checkLayerCount(manifest, parsed, `image ${image.root.digest}`);
  const layers = manifest.layers.map((descriptor, i) => {
    const diffID = parsed.diffIDs[i] as DiffID;
    return { name: dockerFileName(diffID, 'tar'), descriptor, diffID };
  });
  const configName = dockerFileName(manifest.config.digest, 'json');
  const RepoTags = image.references.filter((reference) => reference.tag !== undefined).map(dockerName);
  const item = { Config: configName, RepoTags, Layers: layers.map((layer) => layer.name) };
  return { config, configName, layers, item };
}

/** A layer's tar; what goes in is checked by the diffID of what comes out. */
function uncompressed(reader: ContentReader, descriptor: Descriptor): AsyncIterable<Uint8Array> {
  const compression = layerCompression(descriptor.mediaType);
  if (compression === undefined) {
    throw new TslayerError('UNSUPPORTED', `${descriptor.digest} is no file-system layer: ${descriptor.mediaType}`);
  }
  const blob = reader.openBlob(descriptor);
  if (compression === 'none') return blob;
  const inflate =
    compression === 'gzip' ? createGunzip({ chunkSize: CHUNK }) : createZstdDecompress({ chunkSize: CHUNK });
  return through(blob, inflate);
}

/** The chunks through a transform; an error on either side is the iterator's, and stopping early stops both. */
async function* through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array, void> {
  const input = Readable.from(source, { objectMode: false });
  input.on('error', (error) => transform.destroy(error));
  try {
    for await (const chunk of input.pipe(transform)) yield chunk as Uint8Array;
  } finally {
    input.destroy();
    transform.destroy();
  }
}

async function countBytes(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of chunks) bytes += chunk.length;
  return bytes;
}
