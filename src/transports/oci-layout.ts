/**
 * Reads an OCI image layout, in a directory or a tar. OCI Image Specification image-layout.md.
 *
 *   oci-layout            {"imageLayoutVersion":"1.0.0"}
 *   index.json            the images, with their names as annotations
 *   blobs/ALGORITHM/HEX   manifests, configs, layers
 */
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { type Descriptor, DescriptorSchema, parseJson } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import { type FileTree, readSmall } from './file-tree.ts';
import type { ArchivedImage, ImageArchive } from './source.ts';

export const LAYOUT_FILE = 'oci-layout';
export const INDEX_FILE = 'index.json';
/** A bare tag (umoci, skopeo) or a full name. */
export const REF_NAME = 'org.opencontainers.image.ref.name';
/** The full name beside a bare tag, as containerd and docker write it. */
export const CONTAINERD_NAME = 'io.containerd.image.name';

/** The index of a store with 100,000 images; larger ones are an attack on memory. */
export const MAX_INDEX_BYTES: number = 64 * 1024 * 1024;

const LayoutSchema = v.object({ imageLayoutVersion: v.string() });
const IndexSchema = v.object({ manifests: v.array(DescriptorSchema) });

export function blobName(digest: Digest): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** Takes over the tree: closing the archive closes it. */
export async function openOciLayout(tree: FileTree): Promise<ImageArchive> {
  const version = await readSmall(tree, LAYOUT_FILE, 4096);
  if (!version) throw new TslayerError('MALFORMED', `${tree.label} is no OCI image layout: it has no oci-layout`);
  const { imageLayoutVersion } = parseJson(version, LayoutSchema, `oci-layout in ${tree.label}`);
  if (!imageLayoutVersion.startsWith('1.')) {
    throw new TslayerError('UNSUPPORTED', `${tree.label} has the layout version ${imageLayoutVersion.slice(0, 40)}`);
  }
  const bytes = await readSmall(tree, INDEX_FILE, MAX_INDEX_BYTES);
  if (!bytes) throw new TslayerError('MALFORMED', `${tree.label} has no index.json`);
  const { manifests } = parseJson(bytes, IndexSchema, `index.json in ${tree.label}`);
  return new OciLayout(tree, imagesOf(manifests));
}

/** The index's images, those of several names once. */
function imagesOf(manifests: readonly Descriptor[]): ArchivedImage[] {
  const images = new Map<Digest, { root: Descriptor; names: string[] }>();
  for (const root of manifests) {
    if (!isIndexType(root.mediaType) && !isManifestType(root.mediaType)) continue;
    const image = images.get(root.digest) ?? { root, names: [] };
    images.set(root.digest, image);
    const name = root.annotations?.[CONTAINERD_NAME] ?? root.annotations?.[REF_NAME];
    if (name !== undefined && !image.names.includes(name)) image.names.push(name);
  }
  return [...images.values()];
}

class OciLayout implements ImageArchive {
  readonly label: string;
  readonly images: readonly ArchivedImage[];
  readonly #tree: FileTree;

  constructor(tree: FileTree, images: readonly ArchivedImage[]) {
    this.#tree = tree;
    this.label = tree.label;
    this.images = images;
  }

  async readManifest(descriptor: Descriptor): Promise<Uint8Array> {
    const bytes = await readSmall(this.#tree, blobName(descriptor.digest), MAX_MANIFEST_BYTES);
    if (bytes) return bytes;
    throw new TslayerError('NOT_FOUND', `${this.label} has no blob ${descriptor.digest}`);
  }

  openBlob(descriptor: Descriptor, offset = 0): AsyncIterable<Uint8Array> {
    return this.#tree.open(blobName(descriptor.digest), offset);
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    return (await this.#tree.size(blobName(descriptor.digest))) !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tree[Symbol.asyncDispose]();
  }
}
