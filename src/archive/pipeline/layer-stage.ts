/** The last stage of a layer: its raw tar is hashed, read and handed to the sink, chunk by chunk. */
import { asTslayerError } from '../../errors.ts';
import { type Algorithm, asDiffID, type DiffID } from '../../oci/digest.ts';
import { type Hash, openHash } from '../../sys/hash.ts';
import { IndexWriter } from '../layer-index/writer.ts';
import type { LayerLimits, LayerSink, OpenSink, SinkPlan, SinkResult } from '../sink.ts';
import { TarReader } from '../tar-reader.ts';
import { Tee } from './tee.ts';

/** What a stage needs to know, as data. */
export interface LayerTarget {
  readonly sink: SinkPlan;
  readonly limits: LayerLimits;
  readonly algorithm: Algorithm;
  readonly indexPath: string | undefined;
}

export interface Outcome {
  readonly diffId: DiffID;
  readonly tarSize: number;
  readonly result: SinkResult;
  readonly indexed: boolean;
}

export class LayerStage {
  readonly #algorithm: Algorithm;
  readonly #hash: Hash;
  readonly #sink: LayerSink;
  readonly #index: IndexWriter | undefined;
  readonly #reader: TarReader;

  /** Imports the sink's module and opens it on this thread. */
  static async open(target: LayerTarget): Promise<LayerStage> {
    const { openSink } = (await import(target.sink.module)) as { readonly openSink: OpenSink };
    return new LayerStage(target, openSink);
  }

  private constructor(target: LayerTarget, openSink: OpenSink) {
    this.#algorithm = target.algorithm;
    this.#hash = openHash(target.algorithm);
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
    this.#hash.update(tar);
    this.#reader.write(tar);
  }

  finish(): Outcome {
    this.#reader.end();
    const indexed = this.#index !== undefined;
    this.#index?.finish();
    const result = this.#sink.finish();
    const diffId = asDiffID(`${this.#algorithm}:${this.#hash.digest().toString('hex')}`);
    return { diffId, tarSize: this.size, result, indexed };
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
