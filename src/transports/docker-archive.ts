/**
 * Reads what `docker save` and `podman save` write. manifest.json names, for each image, its config and its layers,
 * base first; layers are uncompressed tars, so a layer's digest is its diffID. Such an archive holds no manifest:
 * one is made here, the same bytes whenever the same image is read, and the config keeps its digest.
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { MAX_CONFIG_BYTES, parseConfig } from '../oci/config.ts';
import { type Descriptor, parseJson } from '../oci/descriptor.ts';
import { asDiffID, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import {
  type Compression,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from '../oci/media-types.ts';
import { type FileTree, readSmall } from './file-tree.ts';
import { hashFile, sniffCompression } from './hash-file.ts';
import type { ArchivedImage, ImageArchive } from './source.ts';

export const DOCKER_MANIFEST_FILE = 'manifest.json';
const MAX_LIST_BYTES = 16 * 1024 * 1024;

const ListSchema = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.optional(v.nullish(v.array(v.string()))),
    Layers: v.optional(v.nullish(v.array(v.string()))),
  }),
);

/** Where the bytes of a digest come from: made in memory, or a file of the archive. */
export type Content = { readonly bytes: Uint8Array } | { readonly file: string };

/** One image before its manifest is made. */
export interface DockerImage {
  readonly names: readonly string[];
  readonly config: Uint8Array;
  /** Files of the archive, base first. */
  readonly layers: readonly string[];
}

/** Takes over the tree: closing the archive closes it. */
export async function openDockerArchive(tree: FileTree): Promise<ImageArchive> {
  return assembleArchive(tree, await readImages(tree));
}

async function readImages(tree: FileTree): Promise<DockerImage[]> {
  const what = `manifest.json in ${tree.label}`;
  const bytes = await readSmall(tree, DOCKER_MANIFEST_FILE, MAX_LIST_BYTES);
  if (!bytes) throw new TslayerError('MALFORMED', `${tree.label} is no Docker archive: it has no manifest.json`);
  const images: DockerImage[] = [];
  for (const item of parseJson(bytes, ListSchema, what)) {
    const config = await readSmall(tree, item.Config, MAX_CONFIG_BYTES);
    if (!config) throw new TslayerError('MALFORMED', `${what} names a config that is not there: ${item.Config}`);
    images.push({ names: item.RepoTags ?? [], config, layers: item.Layers ?? [] });
  }
  return images;
}

export async function assembleArchive(tree: FileTree, images: readonly DockerImage[]): Promise<ImageArchive> {
  const contents = new Map<Digest, Content>();
  const layers = new Map<string, Descriptor>();
  const roots = new Map<Digest, { root: Descriptor; names: string[] }>();
  for (const image of images) {
    const root = await addImage(tree, image, contents, layers);
    const known = roots.get(root.digest) ?? { root, names: [] };
    known.names.push(...image.names.filter((name) => !known.names.includes(name)));
    roots.set(root.digest, known);
  }
  return new DockerArchive(tree, [...roots.values()], contents);
}

async function addImage(
  tree: FileTree,
  image: DockerImage,
  contents: Map<Digest, Content>,
  known: Map<string, Descriptor>,
): Promise<Descriptor> {
  const { diffIDs } = parseConfig(image.config, `a config in ${tree.label}`);
  if (diffIDs.length !== image.layers.length) {
    throw new TslayerError(
      'MALFORMED',
      `an image in ${tree.label} has ${image.layers.length} layers but its config names ${diffIDs.length} diffIDs`,
    );
  }
  const layers: Descriptor[] = [];
  for (const [i, file] of image.layers.entries()) {
    // Images share layers by naming one file, or by links: describe each file once for each diffID claimed of it.
    const key = `${diffIDs[i]} ${file}`;
    const layer = known.get(key) ?? (await describeLayer(tree, file, asDiffID(diffIDs[i] ?? '')));
    known.set(key, layer);
    contents.set(layer.digest, { file });
    layers.push(layer);
  }
  const config = describe(OCI_CONFIG, image.config, contents);
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
  return describe(OCI_MANIFEST, Buffer.from(JSON.stringify(manifest)), contents);
}

function describe(mediaType: string, bytes: Uint8Array, contents: Map<Digest, Content>): Descriptor {
  const digest = digestOf(bytes);
  contents.set(digest, { bytes });
  return { mediaType, digest, size: bytes.length };
}

const LAYER_TYPES: Readonly<Record<Compression, string>> = {
  none: OCI_LAYER,
  gzip: OCI_LAYER_GZIP,
  zstd: OCI_LAYER_ZSTD,
};

/** The diffID is believed here and checked when the layer's bytes flow. */
async function describeLayer(tree: FileTree, file: string, diffID: string): Promise<Descriptor> {
  const size = await tree.size(file);
  if (size === undefined)
    throw new TslayerError('MALFORMED', `${tree.label} has no layer ${JSON.stringify(file.slice(0, 200))}`);
  const compression = await sniffCompression(tree, file);
  const mediaType = LAYER_TYPES[compression];
  if (compression === 'none') return { mediaType, digest: diffID as string as Digest, size };
  // Newer docker saves the blobs as they came, under their digests; otherwise the compressed bytes have no name yet.
  const named = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(file);
  const digest = `${named?.[1]}:${named?.[2]}`;
  return { mediaType, digest: isDigest(digest) ? digest : await hashFile(tree, file), size };
}

class DockerArchive implements ImageArchive {
  readonly label: string;
  readonly images: readonly ArchivedImage[];
  readonly #tree: FileTree;
  readonly #contents: ReadonlyMap<Digest, Content>;

  constructor(tree: FileTree, images: readonly ArchivedImage[], contents: ReadonlyMap<Digest, Content>) {
    this.#tree = tree;
    this.label = tree.label;
    this.images = images;
    this.#contents = contents;
  }

  async readManifest(descriptor: Descriptor): Promise<Uint8Array> {
    const content = this.#contents.get(descriptor.digest);
    if (content && 'bytes' in content) return content.bytes;
    throw new TslayerError('NOT_FOUND', `${this.label} has no manifest ${descriptor.digest}`);
  }

  openBlob(descriptor: Descriptor, offset = 0): AsyncIterable<Uint8Array> {
    const content = this.#contents.get(descriptor.digest);
    if (!content) throw new TslayerError('NOT_FOUND', `${this.label} has no blob ${descriptor.digest}`);
    return 'file' in content ? this.#tree.open(content.file, offset) : once(content.bytes.subarray(offset));
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.#contents.has(descriptor.digest);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  if (bytes.length > 0) yield bytes;
}
