/**
 * What a set of images shares: by whole layers, as they are stored here; and what sharing equal files, or equal
 * blocks of 4 KiB, across all layers would save beyond that.
 */
import { createHash } from 'node:crypto';
import { DetectingInflater } from '../archive/inflate/detecting.ts';
import type { LayerSink } from '../archive/sink.ts';
import { TarReader } from '../archive/tar-reader.ts';
import { throwIfAborted } from '../errors.ts';

export interface SharedLayer {
  /** Same for equal layers: a digest or diffID. */
  readonly key: string;
  /** The layer's blob, compressed or not. */
  open(): AsyncIterable<Uint8Array>;
}

export interface SharedImage {
  readonly name: string;
  readonly layers: readonly SharedLayer[];
}

/** Bytes of regular files' content and numbers of files; holes count as nothing. */
export interface Sharing {
  readonly images: number;
  readonly layers: { readonly references: number; readonly distinct: number };
  /** As if each image were stored for itself. */
  readonly naive: Amount;
  /** Each layer once. */
  readonly byLayer: Amount;
  /** Each distinct content once, over all layers. */
  readonly byFile: Amount;
  /** Each distinct block of 4 KiB once, over all layers. */
  readonly byBlockBytes: number;
}

export interface Amount {
  readonly bytes: number;
  readonly files: number;
}

const BLOCK = 4096;

export async function measureSharing(images: readonly SharedImage[], signal?: AbortSignal): Promise<Sharing> {
  const perLayer = new Map<string, Amount>();
  const census = new Census();
  for (const layer of images.flatMap((image) => image.layers)) {
    throwIfAborted(signal);
    if (!perLayer.has(layer.key)) perLayer.set(layer.key, await census.take(layer));
  }
  const references = images.flatMap((image) => image.layers.map(({ key }) => perLayer.get(key)!));
  return {
    images: images.length,
    layers: { references: references.length, distinct: perLayer.size },
    naive: total(references),
    byLayer: total([...perLayer.values()]),
    byFile: { bytes: census.fileBytes, files: census.distinctFiles },
    byBlockBytes: census.blockBytes,
  };
}

function total(amounts: readonly Amount[]): Amount {
  const sum = (field: keyof Amount): number => amounts.reduce((all, amount) => all + amount[field], 0);
  return { bytes: sum('bytes'), files: sum('files') };
}

/** Counts contents as it reads layers. 16 bytes of a digest are kept of each: enough to tell apart by accident. */
class Census {
  readonly #files = new Set<string>();
  readonly #blocks = new Set<string>();
  fileBytes = 0;
  blockBytes = 0;

  get distinctFiles(): number {
    return this.#files.size;
  }

  async take(layer: SharedLayer): Promise<Amount> {
    const counter = new ContentCounter(
      (key, bytes) => this.#file(key, bytes),
      (key, bytes) => this.#block(key, bytes),
    );
    const reader = new TarReader(counter);
    const room = new Uint8Array(1 << 18);
    const inflater = new DetectingInflater({
      room: () => room,
      flush: (length) => reader.write(room.subarray(0, length)),
    });
    try {
      for await (const chunk of layer.open()) await inflater.write(chunk);
      await inflater.end();
    } finally {
      inflater.close();
    }
    reader.end();
    counter.finish();
    return { bytes: counter.bytes, files: counter.files };
  }

  #file(key: string, bytes: number): void {
    if (this.#files.has(key)) return;
    this.#files.add(key);
    this.fileBytes += bytes;
  }

  #block(key: string, bytes: number): void {
    if (this.#blocks.has(key)) return;
    this.#blocks.add(key);
    this.blockBytes += bytes;
  }
}

type Count = (key: string, bytes: number) => void;

/** A sink that hashes what files hold, whole and block by block. */
class ContentCounter implements LayerSink {
  readonly #onFile: Count;
  readonly #onBlock: Count;
  readonly #block = new Uint8Array(BLOCK);
  #filled = 0;
  #left = 0;
  #size = 0;
  #hash = createHash('sha256');
  bytes = 0;
  files = 0;

  constructor(onFile: Count, onBlock: Count) {
    this.#onFile = onFile;
    this.#onBlock = onBlock;
  }

  whiteout(): void {}

  opaque(): void {}

  entry(entry: Parameters<LayerSink['entry']>[0]): void {
    if (entry.type !== 'file') return;
    this.files++;
    this.#size = entry.storedSize;
    this.#left = entry.storedSize;
    this.bytes += entry.storedSize;
    this.#hash = createHash('sha256');
    if (entry.storedSize === 0) this.#endFile();
  }

  data(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(BLOCK - this.#filled, chunk.length - at);
      this.#block.set(chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === BLOCK) this.#endBlock();
    }
    this.#left -= chunk.length;
    if (this.#left === 0) this.#endFile();
  }

  #endBlock(): void {
    if (this.#filled === 0) return;
    this.#onBlock(shortKey(createHash('sha256').update(this.#block.subarray(0, this.#filled))), this.#filled);
    this.#filled = 0;
  }

  #endFile(): void {
    this.#endBlock();
    this.#onFile(shortKey(this.#hash), this.#size);
  }

  finish(): { bytes: number; inodes: number; warnings: string[] } {
    return { bytes: this.bytes, inodes: this.files, warnings: [] };
  }

  close(): void {}
}

function shortKey(hash: ReturnType<typeof createHash>): string {
  return hash.digest().toString('latin1', 0, 16);
}
