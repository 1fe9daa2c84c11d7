/**
 * Writes images as archives and layouts. One set of images may share blobs: each is written once. Digests are what
 * they were: manifests and blobs go out byte for byte, and are checked on their way.
 */
import type { Descriptor } from '../oci/descriptor.ts';
import { hexOf } from '../oci/digest.ts';
import type { ImageManifest } from '../oci/manifest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { hostPlatform, type Platform, platformMatches } from '../oci/platform.ts';
import { familiarReference, formatReference, type Reference } from '../oci/reference.ts';
import { type Closure, closureOf, type ManifestNode } from './closure.ts';
import { DOCKER_MANIFEST_FILE } from './docker-archive.ts';
import { blobName, CONTAINERD_NAME, INDEX_FILE, LAYOUT_FILE, REF_NAME } from './oci-layout.ts';
import type { ContentReader } from './source.ts';
import { tarArchive } from './tar-writer.ts';
import { verified } from './verified.ts';

export interface ImageToSave {
  readonly root: Descriptor;
  readonly references: readonly Reference[];
  /** Written as the layout's ref.name instead of the references: what follows the path in `oci:DIR:name`. */
  readonly refName?: string | undefined;
}

export interface SaveOptions {
  /** For each blob that was written. */
  readonly onBlob?: ((descriptor: Descriptor) => void) | undefined;
  /** Which platform of an index docker's manifest.json names; default: this machine's. */
  readonly platform?: Platform | undefined;
}

export const LAYOUT_CONTENT = '{"imageLayoutVersion":"1.0.0"}';

/**
 * An OCI archive, digest-exact. It also has docker's manifest.json, which names the same blobs, so that docker,
 * podman and containerd load it whichever format they look for (docker itself writes both since version 25).
 */
export async function* ociArchive(
  reader: ContentReader,
  images: readonly ImageToSave[],
  options: SaveOptions = {},
): AsyncGenerator<Uint8Array, void> {
  const closure = await closureOf(
    reader,
    images.map((image) => image.root),
  );
  yield* tarArchive(async (tar) => {
    tar.directory('blobs');
    tar.directory('blobs/sha256');
    for (const { descriptor, bytes } of closure.manifests) {
      await tar.file(blobName(descriptor.digest), bytes.length, bytes);
    }
    for (const blob of closure.blobs) {
      await tar.file(blobName(blob.digest), blob.size, verified(reader.openBlob(blob), blob));
      options.onBlob?.(blob);
    }
    const index = Buffer.from(
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: indexEntries(images) }),
    );
    await tar.file(INDEX_FILE, index.length, index);
    const list = Buffer.from(JSON.stringify(dockerList(images, closure, options.platform ?? hostPlatform())));
    await tar.file(DOCKER_MANIFEST_FILE, list.length, list);
    await tar.file(LAYOUT_FILE, LAYOUT_CONTENT.length, Buffer.from(LAYOUT_CONTENT));
  });
}

/** index.json's entries: one a name. */
export function indexEntries(images: readonly ImageToSave[]): Descriptor[] {
  return images.flatMap(({ root, references, refName }) => {
    const { annotations: _annotations, ...bare } = root;
    if (refName !== undefined) return [{ ...bare, annotations: { [REF_NAME]: refName } }];
    if (references.length === 0) return [bare];
    return references.map((reference) => {
      const name = formatReference(reference);
      return { ...bare, annotations: { [CONTAINERD_NAME]: name, [REF_NAME]: name } };
    });
  });
}

interface DockerItem {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

function dockerList(images: readonly ImageToSave[], closure: Closure, platform: Platform): DockerItem[] {
  return images.flatMap(({ root, references }) => {
    const manifest = manifestFor(root, closure, platform);
    // Artifacts and other platforms have nothing that docker could load.
    if (!manifest) return [];
    return {
      Config: blobName(manifest.config.digest),
      RepoTags: references.filter((reference) => reference.tag !== undefined).map(dockerName),
      Layers: manifest.layers.map((layer) => blobName(layer.digest)),
    };
  });
}

/** docker refuses a name with a digest in RepoTags. */
export function dockerName(reference: Reference): string {
  const { digest: _digest, ...named } = reference;
  return familiarReference(named);
}

/** The image that a root means on a platform: itself, or the best of an index that is complete here. */
export function manifestFor(root: Descriptor, closure: Closure, platform: Platform): ImageManifest | undefined {
  const nodes = new Map<string, ManifestNode>(closure.manifests.map((node) => [node.descriptor.digest, node]));
  const find = (descriptor: Descriptor): ImageManifest | undefined => {
    const manifest = nodes.get(descriptor.digest)?.manifest;
    if (manifest?.kind !== 'index') return manifest;
    const present = manifest.manifests.filter((child) => nodes.has(child.digest));
    const fitting = present.filter((child) => child.platform && platformMatches(platform, child.platform));
    const [choice] = fitting.length > 0 ? fitting : present.filter((child) => child.platform?.os !== 'unknown');
    return choice && find(choice);
  };
  return find(root);
}

/** The name of a config or layer file in a Docker archive. */
export function dockerFileName(digest: Parameters<typeof hexOf>[0], extension: 'json' | 'tar'): string {
  return `${hexOf(digest)}.${extension}`;
}
