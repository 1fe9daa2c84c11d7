/**
 * `tslayer bench disk`: images of the store, what they take because they share layers, what they would take each by
 * itself, and what sharing equal files or blocks would save beyond that. Through the public interface alone.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../errors.ts';
import type { LayerSummary, OperationOptions, Tslayer } from '../index.ts';
import { describeMachine, type Machine, thisMachine } from './machine.ts';
import type { BenchResult } from './result.ts';
import { measureSharing, type SharedImage, type Sharing } from './sharing.ts';

/** Bytes on disk, blobs and unpacked layers apart. */
export interface StoredAmount {
  readonly blobBytes: number;
  readonly layerBytes: number;
}

export interface DiskBench {
  readonly machine: Machine;
  readonly images: readonly string[];
  /** In this store: each blob and layer once. */
  readonly stored: StoredAmount;
  /** The same blobs and layers, as if no image shared any. */
  readonly naive: StoredAmount;
  /** What the layers hold, counted as content. */
  readonly sharing: Sharing;
}

/** Images by any names that the store knows. @throws TslayerError NOT_FOUND for one that is not unpacked. */
export async function benchDisk(
  tslayer: Tslayer,
  images: readonly string[],
  options: OperationOptions = {},
): Promise<BenchResult<DiskBench>> {
  const { root } = (await tslayer.info()).store;
  const shared: SharedImage[] = [];
  const [once, each] = [new Sum(), new Sum()];
  const seen = new Set<string>();
  for (const name of images) {
    const { layers } = await tslayer.layers(name, options);
    for (const layer of layers) {
      each.add(name, layer);
      if (!seen.has(layer.digest)) once.add(name, layer);
      seen.add(layer.digest);
    }
    shared.push({ name, layers: layers.map(({ digest }) => ({ key: digest, open: () => readBlob(root, digest) })) });
  }
  const sharing = await measureSharing(shared, options.signal);
  return shown({ machine: thisMachine(), images: [...images], stored: once.amount, naive: each.amount, sharing });
}

/** The store is an OCI image layout: that is where its blobs are. */
function readBlob(root: string, digest: string): AsyncIterable<Uint8Array> {
  return createReadStream(join(root, 'blobs', digest.replace(':', '/')), { highWaterMark: 1 << 18 });
}

class Sum {
  #blobs = 0;
  #layers = 0;

  add(image: string, { compressedBytes, unpackedBytes }: LayerSummary): void {
    if (unpackedBytes === undefined) throw new TslayerError('NOT_FOUND', `${image} is not unpacked`);
    this.#blobs += compressedBytes;
    this.#layers += unpackedBytes;
  }

  get amount(): StoredAmount {
    return { blobBytes: this.#blobs, layerBytes: this.#layers };
  }
}

const MIB = 2 ** 20;
const STORED = 'stored, layers shared';

interface Line {
  readonly label: string;
  readonly bytes: number;
  readonly files: number | undefined;
}

function linesOf({ stored, naive, sharing }: DiskBench): Line[] {
  return [
    { label: 'stored, each image by itself', bytes: naive.blobBytes + naive.layerBytes, files: undefined },
    { label: STORED, bytes: stored.blobBytes + stored.layerBytes, files: undefined },
    { label: 'of that, unpacked layers', bytes: stored.layerBytes, files: undefined },
    { label: 'content, each image by itself', bytes: sharing.naive.bytes, files: sharing.naive.files },
    { label: 'content, each layer once', bytes: sharing.byLayer.bytes, files: sharing.byLayer.files },
    { label: 'content, each file once', bytes: sharing.byFile.bytes, files: sharing.byFile.files },
    { label: 'content, each 4 KiB block once', bytes: sharing.byBlockBytes, files: undefined },
  ];
}

function shown(data: DiskBench): BenchResult<DiskBench> {
  const { layers } = data.sharing;
  const lines = linesOf(data);
  const bars = lines.map(({ label, bytes }) => ({ label, value: bytes / MIB, highlight: label === STORED }));
  return {
    data,
    head: ['', 'MIB', 'FILES'],
    rows: lines.map(({ label, bytes, files }) => [label, (bytes / MIB).toFixed(1), String(files ?? '')]),
    chart: {
      title: `${data.images.length} images share ${layers.references - layers.distinct} of ${layers.references} layers`,
      notes: [
        'stored: compressed blobs and unpacked layers; content: what regular files hold',
        describeMachine(data.machine),
      ],
      unit: 'MiB',
      groups: [
        { title: 'storage', bars: bars.slice(0, 3) },
        { title: 'content of the layers', bars: bars.slice(3) },
      ],
    },
  };
}
