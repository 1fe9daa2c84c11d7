/** `inspect` and `history`: all that is known of one image. */

import { chainIDs } from '../oci/chain-id.ts';
import type { HistoryEntry, ImageConfig } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { ChainID, DiffID, Digest } from '../oci/digest.ts';
import type { StoreContext } from './context.ts';
import { findImage, shortName } from './find.ts';
import { readImage, type StoredImage } from './read-image.ts';

export interface LayerDetails {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Compressed bytes. */
  readonly size: number;
  readonly diffId: DiffID | null;
  readonly chainId: ChainID | null;
  /** Whether the compressed blob is in the store. */
  readonly hasBlob: boolean;
  /** The driver's id when it is unpacked. */
  readonly id: string | null;
  /** Bytes on disk when it is unpacked. */
  readonly bytes: number | null;
  readonly inodes: number | null;
}

export interface ImageDetails {
  /** Every name of this image, short. */
  readonly names: readonly string[];
  readonly reference: string;
  readonly id: Digest;
  readonly digest: Digest;
  readonly manifest: Digest;
  readonly mediaType: string;
  readonly platform: string;
  readonly unpacked: boolean;
  readonly allPlatforms: boolean;
  readonly source: string;
  readonly pulledAt: string;
  readonly usedAt: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The config as tslayer reads it; null for what is no image. */
  readonly config: ImageConfig | null;
  /** Base first. */
  readonly layers: readonly LayerDetails[];
}

export async function inspectImage(context: StoreContext, text: string): Promise<ImageDetails> {
  const row = findImage(context, text);
  const image = await readImage(context, row.manifest);
  const { metadata } = context;
  return {
    names: metadata.images.byDigest(row.manifest).map((other) => shortName(other.name)),
    reference: row.name,
    id: row.config,
    digest: row.target,
    manifest: row.manifest,
    mediaType: image.manifest.mediaType,
    platform: row.platform,
    unpacked: row.unpacked,
    allPlatforms: row.allPlatforms,
    source: row.source,
    pulledAt: new Date(row.pulledAt).toISOString(),
    usedAt: new Date(row.usedAt).toISOString(),
    annotations: image.manifest.annotations ?? {},
    config: image.config ?? null,
    layers: layersOf(context, image),
  };
}

/** The layers of an image, base first, with where each of them is. */
export function layersOf({ metadata }: StoreContext, { manifest, config }: StoredImage): LayerDetails[] {
  const diffIds = config?.diffIDs ?? [];
  const chains = chainIDs(diffIds);
  return manifest.layers.map((descriptor: Descriptor, i) => {
    const chainId = chains[i];
    const snapshot = chainId && metadata.snapshots.get(chainId);
    const layer = snapshot?.layer ? metadata.layers.get(snapshot.layer) : undefined;
    return {
      digest: descriptor.digest,
      mediaType: descriptor.mediaType,
      size: descriptor.size,
      diffId: diffIds[i] ?? null,
      chainId: chainId ?? null,
      hasBlob: metadata.blobs.has(descriptor.digest),
      id: layer?.id ?? null,
      bytes: layer?.bytes ?? null,
      inodes: layer?.inodes ?? null,
    };
  });
}

export interface HistoryItem {
  /** ISO 8601; null when it does not say. */
  readonly createdAt: string | null;
  readonly createdBy: string;
  readonly author: string;
  readonly comment: string;
  /** The layer that the step made; null for steps that changed the config only. */
  readonly layer: Digest | null;
  /** Compressed bytes of that layer. */
  readonly size: number;
}

/** The steps that made an image, the newest first. Layers that no step claims come as steps without a text. */
export async function imageHistory(context: StoreContext, text: string): Promise<HistoryItem[]> {
  const { manifest, config } = await readImage(context, findImage(context, text).manifest);
  const layers = [...manifest.layers];
  const items = (config?.history ?? []).map((entry) => asItem(entry, entry.empty_layer ? undefined : layers.shift()));
  return [...items, ...layers.map((layer) => asItem({}, layer))].reverse();
}

function asItem(entry: HistoryEntry, layer: Descriptor | undefined): HistoryItem {
  return {
    createdAt: entry.created ?? null,
    createdBy: entry.created_by ?? '',
    author: entry.author ?? '',
    comment: entry.comment ?? '',
    layer: layer?.digest ?? null,
    size: layer?.size ?? 0,
  };
}
