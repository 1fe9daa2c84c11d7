/**
 * `df`: what each image takes, alone and together with others, blobs and unpacked layers apart; what snapshots and
 * the store itself take; what a collection would free. From rows; `reconcile` (df-reconcile.ts) holds it against
 * the disk.
 */
import { statfsSync } from 'node:fs';
import { throwIfAborted } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { type Overhead, overheadOf } from './df-overhead.ts';
import { type Reconciliation, reconcile } from './df-reconcile.ts';
import { shortCanonicalName, shortName } from './find.ts';
import { type Amount, addAmount, addThing, type Share, StoreUsage, type Things } from './usage.ts';

export type { Share } from './usage.ts';

export interface ImageUsage {
  readonly names: readonly string[];
  readonly id: Digest;
  readonly manifest: Digest;
  readonly blobs: Share;
  readonly layers: Share;
  /** What removing this image alone would free; 0 while something is made of it. */
  readonly reclaimable: Readonly<Amount>;
  /** Mounts and containers made of it. */
  readonly usedBy: readonly string[];
  readonly usedAt: string;
}

export interface SnapshotUsage {
  readonly name: string;
  readonly usedBy: string;
  readonly image: string | null;
  /** What was written in it. */
  readonly bytes: number;
  readonly inodes: number;
}

export interface DiskUsage {
  readonly images: readonly ImageUsage[];
  readonly snapshots: readonly SnapshotUsage[];
  readonly blobs: Totals;
  readonly layers: Totals;
  readonly written: Readonly<Amount>;
  readonly overhead: Overhead;
  /** Everything together: what `du` finds at ROOT. */
  readonly total: Readonly<Amount>;
  /** Bytes that all images would take without sharing. */
  readonly naiveBytes: number;
  /** Bytes that gc would free. */
  readonly reclaimableBytes: number;
  /** Bytes free on the file system. */
  readonly freeBytes: number;
  /** Null unless asked for. */
  readonly reconciliation: Reconciliation | null;
}

export interface Totals extends Readonly<Amount> {
  readonly count: number;
  /** Held by no image. */
  readonly unused: Readonly<Amount>;
}

export interface DiskUsageOptions extends OperationOptions {
  /** Also look at every file of the store, as `du` does, and name each difference. */
  readonly reconcile?: boolean | undefined;
}

export async function diskUsage(context: StoreContext, options: DiskUsageOptions = {}): Promise<DiskUsage> {
  const { metadata, paths } = context;
  const { bsize, bavail } = statfsSync(paths.root);
  const readRows = async () => metadata.database.snapshot(() => new StoreUsage(metadata, bsize));
  // The first of what is looked for on the disk is found by another thread meanwhile.
  const [overhead, usage] = await Promise.all([overheadOf(context), readRows()]);
  const snapshots = await snapshotUsage(context, options);
  const users = Map.groupBy(metadata.snapshots.writable(), (row) => row.manifest);
  const images = usage.images.map((names) =>
    imageUsage(usage, names, (manifest) => (users.get(manifest) ?? []).map(({ key }) => userOf(metadata, key))),
  );
  const blobs = totals(usage.blobs);
  const layers = totals(usage.layers);
  const written: Amount = { bytes: 0, inodes: 0 };
  for (const snapshot of snapshots) addAmount(written, snapshot);
  const total: Amount = { bytes: 0, inodes: 0 };
  for (const part of [blobs, layers, written, overhead]) addAmount(total, part);
  const bytesOf = ({ unique, shared }: Share) => unique.bytes + shared.bytes;
  return {
    images,
    snapshots,
    blobs,
    layers,
    written,
    overhead,
    total,
    naiveBytes: images.reduce((sum, image) => sum + bytesOf(image.blobs) + bytesOf(image.layers), 0),
    reclaimableBytes: blobs.unused.bytes + layers.unused.bytes,
    freeBytes: bavail * bsize,
    reconciliation: options.reconcile ? await reconcile(context, { blobs, layers, written, overhead }, options) : null,
  };
}

function imageUsage(
  usage: StoreUsage,
  names: readonly number[],
  usersOfManifest: (manifest: Digest) => readonly string[],
): ImageUsage {
  const { images } = usage.graph;
  const [first = 0] = names;
  const manifest = usage.manifests[first] as Digest;
  const usedBy = usersOfManifest(manifest);
  const blobs = usage.shareOfBlobs(names);
  const layers = usage.shareOfLayers(names);
  const reclaimable: Amount = { bytes: 0, inodes: 0 };
  if (usedBy.length === 0) for (const part of [blobs.unique, layers.unique]) addAmount(reclaimable, part);
  return {
    names: names.map((name) => shortCanonicalName(images.names[name] as string)),
    id: usage.configs[first] as Digest,
    manifest,
    blobs,
    layers,
    reclaimable,
    usedBy,
    usedAt: new Date(Math.max(...names.map((name) => images.usedAt[name] as number))).toISOString(),
  };
}

function totals(of: Things): Totals {
  const all: Amount = { bytes: 0, inodes: 0 };
  const unused: Amount = { bytes: 0, inodes: 0 };
  const count = of.bytes.length;
  for (let thing = 0; thing < count; thing++) {
    addThing(all, of, thing);
    if (of.users[thing] === 0) addThing(unused, of, thing);
  }
  return { ...all, count, unused };
}

/** Mounts, containers and kept snapshots that are made of an image, in words. */
export function usersOf({ metadata }: StoreContext, manifest: Digest): string[] {
  return metadata.snapshots.byManifest(manifest).map((snapshot) => userOf(metadata, snapshot.key));
}

function userOf(metadata: StoreContext['metadata'], key: string): string {
  if (metadata.mounts.get(key)) return `mount ${key}`;
  const [container] = metadata.containers.bySnapshot(key);
  return container ? `container ${container.name}` : `kept snapshot ${key}`;
}

async function snapshotUsage(context: StoreContext, { signal }: OperationOptions): Promise<SnapshotUsage[]> {
  const { metadata, snapshots } = context;
  const found: SnapshotUsage[] = [];
  for (const row of metadata.snapshots.writable()) {
    throwIfAborted(signal);
    const { bytes, inodes } = await snapshots.usage(row.key);
    const image = row.labels.image;
    const short = image === undefined ? null : shortName(image);
    found.push({ name: row.key, usedBy: userOf(metadata, row.key), image: short, bytes, inodes });
  }
  return found;
}
