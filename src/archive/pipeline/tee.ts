/** A sink that tells a second one what the layer holds. */
import type { TarEntry } from '../entry.ts';
import type { LayerSink, SinkResult } from '../sink.ts';

/** What an index wants to see. */
type EntryVisitor = Pick<LayerSink, 'whiteout' | 'opaque' | 'entry'> & { data(chunk: Uint8Array): void };

export class Tee implements LayerSink {
  readonly #sink: LayerSink;
  readonly #visitor: EntryVisitor;

  constructor(sink: LayerSink, visitor: EntryVisitor) {
    this.#sink = sink;
    this.#visitor = visitor;
  }

  whiteout(path: Uint8Array): void {
    this.#visitor.whiteout(path);
    this.#sink.whiteout(path);
  }

  opaque(path: Uint8Array): void {
    this.#visitor.opaque(path);
    this.#sink.opaque(path);
  }

  entry(entry: TarEntry): void {
    this.#visitor.entry(entry);
    this.#sink.entry(entry);
  }

  data(chunk: Uint8Array): void {
    this.#visitor.data(chunk);
    this.#sink.data?.(chunk);
  }

  finish(tarSize: number): SinkResult {
    return this.#sink.finish(tarSize);
  }

  close(): void {
    this.#sink.close();
  }
}
