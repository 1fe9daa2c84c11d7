/** How the bytes of a store are shared among its images: the model behind `df`. */
import type { Metadata } from '../metadata/metadata.ts';
import { NONE, StoreGraph } from './graph.ts';
import type { GraphImages } from './graph-images.ts';

/** Bytes and inodes on disk, as `du` counts them. */
export interface Amount {
  bytes: number;
  inodes: number;
}

/** A part of an image's use: `unique` is held by this image alone, `shared` by others too. */
export interface Share {
  readonly unique: Readonly<Amount>;
  readonly shared: Readonly<Amount>;
}

/** The things of one kind: how large each is, and how many images lead to it. */
export interface Things {
  readonly bytes: Float64Array;
  readonly inodes: Float64Array;
  readonly users: Int32Array;
}

/** One consistent look at the rows; nothing on the disk is touched. */
export class StoreUsage {
  readonly graph: StoreGraph;
  /** An image is one manifest under all its names; here are the indexes of these. */
  readonly images: readonly (readonly number[])[];
  /** Digests, by the indexes of names. */
  readonly manifests: readonly string[];
  readonly configs: readonly string[];
  readonly blobs: Things;
  readonly layers: Things;
  /** The walk that last came to each thing. */
  readonly #atBlob: Int32Array;
  readonly #atLayer: Int32Array;
  #walks = 0;

  /** @param blockSize of the file system: a file occupies whole blocks */
  constructor(metadata: Metadata, blockSize: number) {
    this.graph = new StoreGraph(metadata.database);
    const { blobSizes, layerBytes, layerInodes, images } = this.graph;
    const blocks = blobSizes.map((size) => Math.ceil(size / blockSize) * blockSize);
    this.blobs = things(blocks, new Float64Array(blocks.length).fill(1));
    this.layers = things(layerBytes, layerInodes);
    this.#atBlob = new Int32Array(blocks.length);
    this.#atLayer = new Int32Array(layerBytes.length);
    this.images = namesByManifest(images);
    this.manifests = images.manifestDigests.strings();
    this.configs = images.configDigests.strings();
    const countUser = ({ users }: Things, thing: number) => {
      users[thing] = (users[thing] as number) + 1;
    };
    for (const names of this.images) {
      this.#eachBlob(names, countUser);
      this.#eachLayer(names, countUser);
    }
  }

  /** Of index, manifests, config and layers: what an image's names lead to and the store has. */
  shareOfBlobs(names: readonly number[]): Share {
    const share = { unique: { bytes: 0, inodes: 0 }, shared: { bytes: 0, inodes: 0 } };
    this.#eachBlob(names, (blobs, blob) => addThing(shareIn(share, blobs, blob), blobs, blob));
    return share;
  }

  /** Of the unpacked layers. */
  shareOfLayers(names: readonly number[]): Share {
    const share = { unique: { bytes: 0, inodes: 0 }, shared: { bytes: 0, inodes: 0 } };
    this.#eachLayer(names, (layers, layer) => addThing(shareIn(share, layers, layer), layers, layer));
    return share;
  }

  #eachBlob(names: readonly number[], visit: (blobs: Things, blob: number) => void): void {
    const walk = ++this.#walks;
    this.graph.reach(this.graph.images.roots(names), (blob) => {
      if (this.#atBlob[blob] === walk) return false;
      this.#atBlob[blob] = walk;
      visit(this.blobs, blob);
      return true;
    });
  }

  #eachLayer([first = NONE]: readonly number[], visit: (layers: Things, layer: number) => void): void {
    const { unpacked, chains } = this.graph.images;
    if (unpacked[first] !== 1) return;
    const walk = ++this.#walks;
    this.graph.climb(chains[first] as number, (layer) => {
      if (this.#atLayer[layer] === walk) return;
      this.#atLayer[layer] = walk;
      visit(this.layers, layer);
    });
  }
}

/** Names of one manifest together, in their order. */
function namesByManifest({ names, manifests }: GraphImages): number[][] {
  const groups = new Map<number, number[]>();
  for (let name = 0; name < names.length; name++) {
    const manifest = manifests[name] as number;
    const group = groups.get(manifest);
    if (group === undefined) groups.set(manifest, [name]);
    else group.push(name);
  }
  return [...groups.values()];
}

function things(bytes: Float64Array, inodes: Float64Array): Things {
  return { bytes, inodes, users: new Int32Array(bytes.length) };
}

function shareIn<A>({ unique, shared }: { unique: A; shared: A }, { users }: Things, thing: number): A {
  return (users[thing] as number) > 1 ? shared : unique;
}

export function addThing(sum: Amount, { bytes, inodes }: Things, thing: number): void {
  sum.bytes += bytes[thing] as number;
  sum.inodes += inodes[thing] as number;
}

export function addAmount(sum: Amount, more: Readonly<Amount> | undefined): void {
  sum.bytes += more?.bytes ?? 0;
  sum.inodes += more?.inodes ?? 0;
}
