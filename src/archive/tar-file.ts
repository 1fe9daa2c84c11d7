/** A layer's tar on its way into the file that a driver keeps it in. */
import { closeSync, openSync } from 'node:fs';
import { asTslayerError } from '../errors.ts';
import { startWriteback } from '../sys/files.ts';
import { writeAll } from '../sys/write-all.ts';
import type { TarPlace } from './sink.ts';

/** Bytes that are handed to the disk at a time. */
const WRITE_BACK = 8 * 1024 ** 2;

export class TarFile {
  readonly #writesBack: boolean;
  #fd: number | undefined;
  #end: number;
  #writtenBack: number;

  constructor({ path, at, writeBack }: TarPlace) {
    this.#fd = openSync(path, 'r+');
    this.#writesBack = writeBack;
    this.#end = this.#writtenBack = at;
  }

  write(chunk: Uint8Array): void {
    try {
      writeAll(this.#fd!, chunk, this.#end);
    } catch (error) {
      throw asTslayerError(error, 'cannot write the layer');
    }
    this.#end += chunk.length;
    if (this.#writesBack) this.#writeBack();
  }

  /** The disk works while the layer streams, so that the wait at the end is short. */
  #writeBack(): void {
    const behind = this.#end - this.#writtenBack;
    if (behind < WRITE_BACK) return;
    startWriteback(this.#fd!, this.#writtenBack, behind);
    this.#writtenBack = this.#end;
  }

  /** Idempotent. */
  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}
