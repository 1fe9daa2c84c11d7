/** The last stage of a layer, chunk by chunk: its tar as bytes, and what the tar holds. The bytes may be others' task. */
import type { DiffID } from '../../oci/digest.ts';
import { type Entered, EntryStage, type EntryTarget } from './entry-stage.ts';
import { TarStage, type TarTarget } from './tar-stage.ts';

export interface LayerTarget {
  /** Undefined when the thread before has done that. */
  readonly bytes: TarTarget | undefined;
  readonly entries: EntryTarget;
}

/** What a thread has found out; together the threads of a layer know all. */
export interface Outcome extends Partial<Entered> {
  readonly diffId?: DiffID;
}

export class LayerStage {
  readonly #bytes: TarStage | undefined;
  readonly #entries: EntryStage;

  static async open({ bytes, entries }: LayerTarget): Promise<LayerStage> {
    const tar = bytes && new TarStage(bytes);
    try {
      return new LayerStage(tar, await EntryStage.open(entries));
    } catch (error) {
      tar?.close();
      throw error;
    }
  }

  private constructor(bytes: TarStage | undefined, entries: EntryStage) {
    this.#bytes = bytes;
    this.#entries = entries;
  }

  /** Bytes of the tar so far. */
  get size(): number {
    return this.#entries.size;
  }

  write(tar: Uint8Array): void {
    this.#bytes?.write(tar);
    this.#entries.write(tar);
  }

  finish(): Outcome & Entered {
    return { ...this.#entries.finish(), ...(this.#bytes && { diffId: this.#bytes.diffId() }) };
  }

  /** Frees what is open, whatever happened. */
  close(): void {
    try {
      this.#entries.close();
    } finally {
      this.#bytes?.close();
    }
  }
}
