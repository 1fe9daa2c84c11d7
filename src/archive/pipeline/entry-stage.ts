/** What is done with what a tar holds: its entries are read, indexed and handed to the sink. */
import { asTslayerError } from '../../errors.ts';
import { IndexWriter } from '../layer-index/writer.ts';
import type { LayerLimits, LayerSink, OpenSink, SinkPlan, SinkResult } from '../sink.ts';
import { TarReader } from '../tar-reader.ts';
import { Tee } from './tee.ts';

/** What it needs to know, as data. */
export interface EntryTarget {
  readonly sink: SinkPlan;
  readonly limits: LayerLimits;
  readonly indexPath: string | undefined;
}

export interface Entered {
  readonly tarSize: number;
  readonly result: SinkResult;
  readonly indexed: boolean;
}

/** Of this thread, by module. */
const opened = new Map<string, OpenSink>();

export class EntryStage {
  readonly #sink: LayerSink;
  readonly #index: IndexWriter | undefined;
  readonly #reader: TarReader;

  /** Imports the sink's module and opens it on this thread. */
  static async open(target: EntryTarget): Promise<EntryStage> {
    const { module } = target.sink;
    // An import() that is known takes the loader 200 us again.
    const openSink = opened.get(module) ?? ((await import(module)) as { readonly openSink: OpenSink }).openSink;
    opened.set(module, openSink);
    return new EntryStage(target, openSink);
  }

  private constructor(target: EntryTarget, openSink: OpenSink) {
    // Opened first: a sink may change the thread's root, and the index lies outside.
    this.#index = target.indexPath === undefined ? undefined : new IndexWriter(target.indexPath);
    try {
      this.#sink = openSink(target.sink.options);
    } catch (error) {
      this.#index?.close();
      throw error;
    }
    this.#reader = new TarReader(this.#index ? new Tee(this.#sink, this.#index) : this.#sink, target.limits);
  }

  /** Bytes of the tar so far. */
  get size(): number {
    return this.#reader.size;
  }

  write(tar: Uint8Array): void {
    this.#reader.write(tar);
  }

  finish(): Entered {
    this.#reader.end();
    const indexed = this.#index !== undefined;
    this.#index?.finish();
    return { tarSize: this.size, result: this.#sink.finish(this.size), indexed };
  }

  /** Frees what is open, whatever happened. */
  close(): void {
    try {
      this.#sink.close();
    } catch (error) {
      throw asTslayerError(error, 'cannot close the layer');
    } finally {
      this.#index?.close();
    }
  }
}
