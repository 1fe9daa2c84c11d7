/**
 * Who holds what, and how large it is: the model behind `df` and `gc`. One consistent look at the rows; nothing on
 * the disk is touched.
 */
import type { ImageRow } from '../metadata/images.ts';
import type { LayerKey } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID, Digest } from '../oci/digest.ts';

/** Bytes and inodes on disk, as `du` counts them. */
export interface Amount {
  bytes: number;
  inodes: number;
}

/** An image of the store: one manifest under all its names. */
export interface UsedImage {
  readonly manifest: Digest;
  readonly rows: readonly ImageRow[];
  /** Index, manifests, config, layers: what its names lead to and the store has. */
  readonly blobs: ReadonlySet<Digest>;
  readonly layers: ReadonlySet<LayerKey>;
}

interface BlobFact {
  readonly digest: Digest;
  readonly size: number;
}

interface ChainFact {
  readonly key: ChainID;
  readonly parent: ChainID | null;
  readonly layer: LayerKey;
}

interface LayerFact extends Amount {
  readonly key: LayerKey;
}

/** Everything in the store, and which images lead to it. */
export class StoreUsage {
  readonly images: readonly UsedImage[];
  readonly blobs: ReadonlyMap<Digest, Amount>;
  readonly layers: ReadonlyMap<LayerKey, Amount>;
  /** How many images lead to a blob or layer. */
  readonly #users = new Map<string, number>();

  /** @param blockSize of the file system: a file occupies whole blocks */
  constructor(metadata: Metadata, blockSize: number) {
    const { database } = metadata;
    const blobs = database.all<BlobFact>('SELECT digest, size FROM blobs');
    const round = (size: number) => Math.ceil(size / blockSize) * blockSize;
    this.blobs = new Map(blobs.map(({ digest, size }) => [digest, { bytes: round(size), inodes: 1 }]));
    const layers = database.all<LayerFact>('SELECT key, bytes, inodes FROM layers');
    this.layers = new Map(layers.map(({ key, bytes, inodes }) => [key, { bytes, inodes }]));
    this.images = this.#collectImages(metadata);
    for (const image of this.images) {
      for (const key of image.blobs) this.#users.set(key, (this.#users.get(key) ?? 0) + 1);
      for (const key of image.layers) this.#users.set(`layer ${key}`, (this.#users.get(`layer ${key}`) ?? 0) + 1);
    }
  }

  usersOfBlob(digest: Digest): number {
    return this.#users.get(digest) ?? 0;
  }

  usersOfLayer(key: LayerKey): number {
    return this.#users.get(`layer ${key}`) ?? 0;
  }

  #collectImages(metadata: Metadata): UsedImage[] {
    const children = Map.groupBy(
      metadata.database.all<{ parent: Digest; child: Digest }>('SELECT parent, child FROM refs'),
      (ref) => ref.parent,
    );
    const chains = new Map(
      metadata.database
        .all<ChainFact>(`SELECT key, parent, layer FROM snapshots WHERE kind = 'committed'`)
        .map((chain) => [chain.key, chain]),
    );
    const rows = Map.groupBy(metadata.images.list(), (row) => row.manifest);
    return [...rows].map(([manifest, names]) => ({
      manifest,
      rows: names,
      blobs: this.#reach(names, children),
      layers: stackOf(names[0]?.unpacked ? names[0].chainId : null, chains),
    }));
  }

  #reach(rows: readonly ImageRow[], children: ReadonlyMap<Digest, readonly { child: Digest }[]>): Set<Digest> {
    const reached = new Set<Digest>();
    const pending = rows.flatMap((row) => [row.target, row.manifest, row.config]);
    for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
      if (reached.has(digest) || !this.blobs.has(digest)) continue;
      reached.add(digest);
      for (const { child } of children.get(digest) ?? []) pending.push(child);
    }
    return reached;
  }
}

function stackOf(chain: ChainID | null, chains: ReadonlyMap<ChainID, ChainFact>): Set<LayerKey> {
  const layers = new Set<LayerKey>();
  for (let key = chain; key !== null; ) {
    const fact = chains.get(key);
    if (fact === undefined) break;
    layers.add(fact.layer);
    key = fact.parent;
  }
  return layers;
}

export function addAmount(sum: Amount, more: Amount | undefined): void {
  sum.bytes += more?.bytes ?? 0;
  sum.inodes += more?.inodes ?? 0;
}
