/**
 * Receives a layer's entries and makes its file one EROFS image: the pipeline puts the tar right behind the head as it
 * comes (`tarPlace`), the metadata that points into it follows. Nothing is created but the one file.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { TarEntry } from '../../src/archive/entry.ts';
import { DEFAULT_LIMITS, type LayerSink, type OpenSink, type SinkResult } from '../../src/archive/sink.ts';
import { asTslayerError, TslayerError } from '../../src/errors.ts';
import { startWriteback } from '../../src/sys/files.ts';
import { HEAD_SIZE } from './format/layout.ts';
import type { ErofsSinkOptions } from './sink-options.ts';
import { LayerTree } from './tree/layer-tree.ts';
import { finishImage } from './write/image.ts';

export class ErofsSink implements LayerSink {
  readonly #options: ErofsSinkOptions;
  readonly #tree: LayerTree = new LayerTree(DEFAULT_LIMITS.entries);
  #fd: number | undefined;

  constructor(options: ErofsSinkOptions) {
    this.#options = options;
    this.#fd = openSync(options.path, 'r+');
  }

  whiteout(path: Uint8Array): void {
    this.#tree.whiteout(path);
  }

  opaque(path: Uint8Array): void {
    this.#tree.opaque(path);
  }

  entry(entry: TarEntry): void {
    this.#tree.add(entry);
  }

  finish(tarSize: number): SinkResult {
    const fd = this.#open;
    try {
      finishImage(fd, this.#tree, HEAD_SIZE + tarSize, this.#options.name);
      // The rest of the way to the disk is gone when the driver commits, off this thread.
      if (this.#options.durable) startWriteback(fd, 0, 0);
      return {
        bytes: fstatSync(fd).blocks * 512,
        inodes: 1,
        rootEntry: !this.#tree.implicitRoot,
        warnings: this.#tree.warnings,
      };
    } catch (error) {
      throw asTslayerError(error, 'cannot write the layer');
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  get #open(): number {
    if (this.#fd === undefined) throw new TslayerError('FAILED', 'the layer is closed already');
    return this.#fd;
  }
}

export const openSink: OpenSink = (options) => new ErofsSink(options as ErofsSinkOptions);
