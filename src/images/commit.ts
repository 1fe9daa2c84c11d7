/**
 * `tslayer commit`: a snapshot's changes as a new layer, and an image of it. Changes → tar → diffID → compression →
 * blob is one stream; the same changes give the same digest on every driver, and with SOURCE_DATE_EPOCH the same
 * image tomorrow.
 */
import { type PackOptions, packLayer } from '../archive/pack.ts';
import type { TarItem } from '../archive/tar-writer.ts';
import { TslayerError } from '../errors.ts';
import type { SnapshotRow } from '../metadata/snapshots.ts';
import type { HistoryEntry } from '../oci/config.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { DiffID, Digest } from '../oci/digest.ts';
import { type Compression, layerCompression, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../oci/media-types.ts';
import { hostPlatform } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import { publishImage } from './built-image.ts';
import type { StoreContext } from './context.ts';
import { snapshotChanges } from './diff-snapshot.ts';
import { historyOf } from './history.ts';
import { readImage, type StoredImage } from './image-layers.ts';
import { openLease } from './lease.ts';
import { imageName } from './name-image.ts';
import { addLayerBlob, type NewLayer } from './new-blob.ts';
import { creationDate, emptyConfig, nextConfig, type RawConfig, sourceDateEpoch } from './next-config.ts';
import type { PullResult } from './pull/pull.ts';
import { withParents } from './with-parents.ts';

/** How a new layer is made, and what is said of it. */
export interface NewImageOptions extends OperationOptions {
  /** Default gzip. */
  readonly compression?: Compression | undefined;
  /** gzip 1 to 9 (default 4: two thirds of the time of 6 for 2 % more bytes), zstd 1 to 19 (default 3). */
  readonly level?: number | undefined;
  /** Instructions for the config: `CMD ["sh"]`; see config-change.ts. */
  readonly changes?: readonly string[] | undefined;
  readonly author?: string | undefined;
  /** The history entry's comment. */
  readonly message?: string | undefined;
  /** Seconds since 1970 for everything that would say "now"; default: the environment's SOURCE_DATE_EPOCH. */
  readonly epoch?: number | undefined;
  /**
   * Whether the new image is unpacked at once; otherwise its first use does it. Default true, but for a commit: what
   * it holds is mounted already, and most are pushed and never run here.
   */
  readonly unpack?: boolean | undefined;
}

export interface CommitResult extends PullResult {
  /** The new layer; absent when nothing had changed. */
  readonly layer?: {
    readonly digest: Digest;
    readonly diffId: DiffID;
    readonly size: number;
    readonly tarSize: number;
  };
}

/**
 * Commits a snapshot under a name.
 * @throws NOT_FOUND for a name that is no writable snapshot; INVALID_ARGUMENT for a change or a file name that an
 *   image cannot hold; NO_SPACE
 */
export async function commitSnapshot(
  context: StoreContext,
  name: string,
  reference: Reference,
  options: NewImageOptions = {},
): Promise<CommitResult> {
  const { snapshots } = context.metadata;
  const before = snapshots.get(name);
  try {
    return await commitFound(context, name, reference, options);
  } catch (error) {
    // Whatever reading it ran into: another process has removed it meanwhile.
    if (before === undefined || snapshots.get(name)?.id === before.id) throw error;
    throw new TslayerError('NOT_FOUND', `${name} was removed while it was committed`, { cause: error });
  }
}

async function commitFound(
  context: StoreContext,
  name: string,
  reference: Reference,
  options: NewImageOptions,
): Promise<CommitResult> {
  const epoch = options.epoch ?? sourceDateEpoch();
  const snapshot = context.metadata.snapshots.get(name);
  const base = await baseOf(context, snapshot);
  await using lease = await openLease(context, `commit ${name}`);
  // What is wrong with the config shall show before anything is read.
  const created = creationDate(epoch);
  nextConfig(base.rawConfig, { diffIDs: [], history: [], changes: options.changes, created });
  const items = await nonEmpty(withParents(context, base, snapshotChanges(context, name)));
  const layer =
    items &&
    (await addLayerBlob(context, lease, async (file) =>
      packLayer(items, packOptions(options, epoch), (chunk) => file.writeFile(chunk)),
    ));
  const entry = historyEntry('tslayer commit', options, created, layer === undefined);
  const result = await publishLayers(context, base, layer ? [layer] : [], [entry], created, {
    reference,
    source: `commit ${name}`,
    options: { ...options, unpack: options.unpack ?? false },
  });
  if (!layer) return result;
  const { descriptor, diffId, tarSize } = layer;
  return { ...result, layer: { digest: descriptor.digest, size: descriptor.size, diffId, tarSize } };
}

/** What a new image grows from. */
export type Base = Pick<StoredImage, 'layers' | 'rawConfig'> & { readonly history: readonly HistoryEntry[] };

export const NO_BASE: Base = { layers: [], rawConfig: emptyConfig(hostPlatform()), history: [] };

export function asBase(image: StoredImage): Base {
  return { layers: image.layers, rawConfig: image.rawConfig, history: historyOf(image) };
}

async function baseOf(context: StoreContext, snapshot: SnapshotRow | undefined): Promise<Base> {
  if (!snapshot?.manifest) {
    if (snapshot?.parent) throw new TslayerError('UNSUPPORTED', `${snapshot.key} was not made from an image`);
    return NO_BASE;
  }
  return asBase(await readImage(context, { name: snapshot.key, manifest: snapshot.manifest }));
}

const GZIP_LEVEL = 4;

export function packOptions(options: NewImageOptions, epoch: number | undefined): PackOptions {
  const { compression = 'gzip', signal } = options;
  const level = options.level ?? (compression === 'gzip' ? GZIP_LEVEL : undefined);
  return { compression, level, signal, latestTime: epoch };
}

export function historyEntry(what: string, options: NewImageOptions, created: string, isEmpty: boolean): HistoryEntry {
  const changes = (options.changes ?? []).map((change) => ` --change ${JSON.stringify(change)}`);
  return {
    created,
    created_by: what + changes.join(''),
    ...(options.author === undefined ? {} : { author: options.author }),
    ...(options.message === undefined ? {} : { comment: options.message }),
    ...(isEmpty ? { empty_layer: true } : {}),
  };
}

/** Names an image of the base with more layers on it. The caller's lease holds them. */
export function publishLayers(
  context: StoreContext,
  base: Base,
  layers: readonly Pick<NewLayer, 'descriptor' | 'diffId'>[],
  history: readonly HistoryEntry[],
  created: string,
  as: { readonly reference: Reference; readonly source: string; readonly options: NewImageOptions },
): Promise<PullResult> {
  const all = [...base.layers, ...layers];
  const { changes, author, unpack, ...rest } = as.options;
  const config = nextConfig(base.rawConfig as RawConfig, {
    diffIDs: all.map((layer) => layer.diffId),
    history: [...base.history, ...history],
    changes,
    author,
    created,
  });
  const image = { config, layers: all.map((layer) => asOci(layer.descriptor)) };
  return publishImage(context, image, { names: [imageName(as.reference)], source: as.source, unpack }, rest);
}

const OCI_TYPES: Readonly<Record<Compression, string>> = {
  none: OCI_LAYER,
  gzip: OCI_LAYER_GZIP,
  zstd: OCI_LAYER_ZSTD,
};

/** New images are OCI's: a layer of a Docker image keeps its bytes and digest, and gets OCI's name for its type. */
function asOci({ mediaType, digest, size }: Descriptor): Descriptor {
  const compression = layerCompression(mediaType);
  return { mediaType: compression === undefined ? mediaType : OCI_TYPES[compression], digest, size };
}

/** The items, or undefined when there are none. */
export async function nonEmpty(items: AsyncGenerator<TarItem, void>): Promise<AsyncIterable<TarItem> | undefined> {
  const first = await items.next();
  if (first.done) return undefined;
  async function* all(): AsyncGenerator<TarItem, void> {
    try {
      yield first.value as TarItem;
      yield* items;
    } finally {
      await items.return();
    }
  }
  return all();
}
