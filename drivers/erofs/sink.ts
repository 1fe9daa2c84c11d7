/**
 * Receives a layer and writes it as one EROFS image: the tar as it comes, right behind the head, then the metadata
 * that points into it. Runs on whatever thread the bytes are on; nothing is created but the one file.
 */
import { closeSync, fstatSync, openSync } from 'node:fs';
import type { TarEntry } from '../../src/archive/entry.ts';
import { DEFAULT_LIMITS, type LayerSink, type OpenSink, type SinkResult } from '../../src/archive/sink.ts';
import { asTslayerError, TslayerError } from '../../src/errors.ts';
import { startWriteback } from '../../src/sys/files.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { LayerTree } from './tree/layer-tree.ts';
import { finishImage } from './write/image.ts';
import { writeAll } from './write/piece-writer.ts';

/** Bytes that are handed to the disk at a time. */
const WRITE_BACK = 8 * 1024 ** 2;

export interface ErofsSinkOptions {
  /** The file to write; it exists already, empty. */
  readonly path: string;
  /** The layer's id: its image's UUID comes from it. */
  readonly name: string;
  /** Whether what is written is handed to the disk at once; the driver waits for it. */
  readonly durable: boolean;
}

export class ErofsSink implements LayerSink {
  readonly #options: ErofsSinkOptions;
  readonly #tree: LayerTree = new LayerTree(DEFAULT_LIMITS.entries);
  #fd: number | undefined;
  #end: number = HEAD_SIZE;
  #writtenBack = 0;

  constructor(options: ErofsSinkOptions) {
    this.#options = options;
    this.#fd = openSync(options.path, 'r+');
  }

  raw(chunk: Uint8Array): void {
    try {
      writeAll(this.#open, chunk, this.#end);
    } catch (error) {
      throw asTslayerError(error, 'cannot write the layer');
    }
    this.#end += chunk.length;
    if (this.#options.durable) this.#writeBack();
  }

  /** The disk works while the layer streams, so that the wait at the end is short. */
  #writeBack(): void {
    const behind = this.#end - this.#writtenBack;
    if (behind < WRITE_BACK) return;
    startWriteback(this.#open, this.#writtenBack, behind);
    this.#writtenBack = this.#end;
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

  finish(): SinkResult {
    const fd = this.#open;
    try {
      finishImage(fd, this.#tree, this.#end, this.#options.name);
      // The rest of the way to the disk is gone when the driver commits, off this thread.
      if (this.#options.durable) startWriteback(fd, this.#writtenBack, 0);
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
