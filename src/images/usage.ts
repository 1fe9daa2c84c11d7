/** How the bytes of a store are shared among its images: the model behind `df`. */
import type { ImageRow } from '../metadata/images.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { Digest } from '../oci/digest.ts';
import { StoreGraph } from './graph.ts';

/** Bytes and inodes on disk, as `du` counts them. */
export interface Amount {
  bytes: number;
  inodes: number;
}

/** An image of the store: one manifest under all its names. */
export interface UsedImage {
  readonly manifest: Digest;
  readonly rows: readonly ImageRow[];
  /** Indexes of index, manifests, config and layers: what its names lead to and the store has. */
  readonly blobs: readonly number[];
  /** Indexes of its unpacked layers. */
  readonly layers: readonly number[];
}

/** The things of one kind: how large each is, and how many images lead to it. */
export interface Shared {
  readonly bytes: readonly number[];
  readonly inodes: readonly number[];
  readonly users: Int32Array;
}

/** One consistent look at the rows; nothing on the disk is touched. */
export class StoreUsage {
  readonly images: readonly UsedImage[];
  readonly blobs: Shared;
  readonly layers: Shared;

  /** @param blockSize of the file system: a file occupies whole blocks */
  constructor(metadata: Metadata, blockSize: number) {
    const graph = new StoreGraph(metadata);
    const round = (size: number) => Math.ceil(size / blockSize) * blockSize;
    const { blobSizes, layerBytes, layerInodes } = graph;
    this.blobs = shared(
      blobSizes.map(round),
      blobSizes.map(() => 1),
    );
    this.layers = shared(layerBytes, layerInodes);
    const rows = Map.groupBy(graph.images, (row) => row.manifest);
    this.images = [...rows].map(([manifest, names]) => this.#image(graph, manifest, names));
  }

  #image(graph: StoreGraph, manifest: Digest, rows: readonly ImageRow[]): UsedImage {
    const blobs: number[] = [];
    graph.reach(graph.roots(manifest, rows), (blob) => add(blobs, blob, this.blobs.users));
    const layers: number[] = [];
    const top = rows[0]?.unpacked ? graph.chain(rows[0].chainId) : -1;
    graph.climb(top, (layer) => {
      add(layers, layer, this.layers.users);
      return true;
    });
    return { manifest, rows, blobs, layers };
  }
}

/** Adds a thing that is not there yet and counts its user; images are small, so that looking through one is quick. */
function add(things: number[], thing: number, users: Int32Array): boolean {
  if (things.includes(thing)) return false;
  things.push(thing);
  users[thing] = (users[thing] ?? 0) + 1;
  return true;
}

function shared(bytes: readonly number[], inodes: readonly number[]): Shared {
  return { bytes, inodes, users: new Int32Array(bytes.length) };
}

export function addAmount(sum: Amount, more: Readonly<Amount> | undefined): void {
  sum.bytes += more?.bytes ?? 0;
  sum.inodes += more?.inodes ?? 0;
}
