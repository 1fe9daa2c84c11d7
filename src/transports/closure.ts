/**
 * Everything that images are made of, each thing once: what a save has to write and a push has to send.
 * An index may lack platforms (a pull fetches one): those are left out, and the index stays as it is.
 */
import { TslayerError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, verifyBytes } from '../oci/digest.ts';
import { type ImageManifest, type Manifest, parseManifest } from '../oci/manifest.ts';
import { isIndexType, isManifestType } from '../oci/media-types.ts';
import type { ContentReader } from './source.ts';

/** A manifest or index with its exact bytes. */
export interface ManifestNode {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

export interface Closure {
  /** Children before the indexes that name them, as registries want them. */
  readonly manifests: readonly ManifestNode[];
  /** Configs and layers, each once. */
  readonly blobs: readonly Descriptor[];
}

/** An index may hold indexes; none in the wild goes deeper than two. */
const MAX_DEPTH = 4;

export async function closureOf(reader: ContentReader, roots: readonly Descriptor[]): Promise<Closure> {
  const manifests = new Map<Digest, ManifestNode>();
  const blobs = new Map<Digest, Descriptor>();
  for (const root of roots) {
    if (!(await visit(reader, root, manifests, blobs, 0))) {
      throw new TslayerError('NOT_FOUND', `${root.digest} is not complete here`, {
        hint: 'pull it again; of a store that drops compressed blobs, from where it came from',
      });
    }
  }
  return { manifests: [...manifests.values()], blobs: [...blobs.values()] };
}

/** Notes a manifest and all below it; false when it, or (for an index) every part of it, is not there. */
async function visit(
  reader: ContentReader,
  descriptor: Descriptor,
  manifests: Map<Digest, ManifestNode>,
  blobs: Map<Digest, Descriptor>,
  depth: number,
): Promise<boolean> {
  if (manifests.has(descriptor.digest)) return true;
  if (depth > MAX_DEPTH) throw new TslayerError('MALFORMED', `${descriptor.digest}: indexes nest too deep`);
  if (!(await reader.has(descriptor))) return false;
  const node = await readNode(reader, descriptor);
  if (node.manifest.kind === 'index') {
    let found = node.manifest.manifests.length === 0;
    for (const child of node.manifest.manifests) {
      if (await visitChild(reader, child, manifests, blobs, depth + 1)) found = true;
    }
    if (!found) return false;
  } else {
    const parts = partsOf(node.manifest);
    for (const part of parts) if (!blobs.has(part.digest) && !(await reader.has(part))) return false;
    for (const part of parts) blobs.set(part.digest, blobs.get(part.digest) ?? part);
  }
  manifests.set(descriptor.digest, node);
  return true;
}

/** An index may name other things than images, too: they count as blobs. */
async function visitChild(
  reader: ContentReader,
  child: Descriptor,
  manifests: Map<Digest, ManifestNode>,
  blobs: Map<Digest, Descriptor>,
  depth: number,
): Promise<boolean> {
  if (isIndexType(child.mediaType) || isManifestType(child.mediaType)) {
    return visit(reader, child, manifests, blobs, depth);
  }
  if (!(await reader.has(child))) return false;
  blobs.set(child.digest, child);
  return true;
}

/** Manifests that the indexes name and that are not among the nodes. */
export function missingChildren(nodes: readonly ManifestNode[]): Descriptor[] {
  const present = new Set(nodes.map((node) => node.descriptor.digest));
  const children = nodes.flatMap(({ manifest }) => (manifest.kind === 'index' ? manifest.manifests : []));
  const isOurs = ({ mediaType }: Descriptor) => isIndexType(mediaType) || isManifestType(mediaType);
  return children.filter((child) => isOurs(child) && !present.has(child.digest));
}

/** A manifest's bytes, verified and parsed. */
export async function readNode(reader: ContentReader, descriptor: Descriptor): Promise<ManifestNode> {
  const bytes = await reader.readManifest(descriptor);
  verifyBytes(bytes, descriptor.digest, 'the manifest');
  return { descriptor, bytes, manifest: parseManifest(bytes, descriptor.mediaType) };
}

/** What a manifest needs; layers that live elsewhere (`urls`) are not ours to carry. */
function partsOf(manifest: ImageManifest): Descriptor[] {
  return [manifest.config, ...manifest.layers.filter((layer) => !layer.urls?.length)];
}
