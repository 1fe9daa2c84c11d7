/**
 * Files of layers in any order. Where neither the driver nor the blob can be read in place, the layer's tar is
 * inflated once into a file without a name, which goes with this object.
 */

import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TarEntry } from '../archive/entry.ts';
import type { OperationOptions } from '../progress.ts';
import { randomHex } from '../sys/random.ts';
import { readFrom } from '../transports/read-from.ts';
import { openStored, readsInPlace } from './cat-file.ts';
import type { StoreContext } from './context.ts';
import type { ImageLayer } from './image-layers.ts';
import { readLayerInSteps } from './read-layer.ts';

export class LayerFiles implements AsyncDisposable {
  readonly #context: StoreContext;
  readonly #options: OperationOptions;
  /** By diffID. */
  readonly #tars = new Map<string, Promise<FileHandle>>();

  constructor(context: StoreContext, options: OperationOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** An entry's stored bytes. */
  async open(layer: ImageLayer, entry: TarEntry): Promise<AsyncIterable<Uint8Array>> {
    if (await readsInPlace(this.#context, layer)) return openStored(this.#context, layer, entry, this.#options);
    const tar = this.#tars.get(layer.diffId) ?? this.#inflate(layer);
    this.#tars.set(layer.diffId, tar);
    return readFrom(await tar, entry.dataOffset, entry.storedSize);
  }

  async #inflate(layer: ImageLayer): Promise<FileHandle> {
    const { paths, session } = this.#context;
    const path = join(paths.tmp, `${await session.open()}-${randomHex(6)}`);
    const file = await open(path, 'wx+', 0o600);
    await rm(path);
    try {
      const pieces: Buffer[] = [];
      const onTar = (chunk: Uint8Array) => void pieces.push(Buffer.from(chunk));
      const sink = {
        entry: () => undefined,
        whiteout: () => undefined,
        opaque: () => undefined,
        finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
        close: () => undefined,
      };
      for await (const _step of readLayerInSteps(this.#context, layer, sink, { signal: this.#options.signal, onTar })) {
        for (const piece of pieces.splice(0)) await file.writeFile(piece);
      }
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const tar of this.#tars.values()) {
      const file = await tar.catch(() => undefined);
      await file?.close();
    }
  }
}
