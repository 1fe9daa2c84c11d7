/** Who was the first to be found holding each blob and each layer of a store. */
import type { StoreGraph } from './graph.ts';

export class Holders {
  readonly #graph: StoreGraph;
  /** Reasons in words; a thing has the index of its own, 0 while nobody has claimed it. */
  readonly #reasons: (string | undefined)[] = [undefined];
  readonly #ofBlob: Int32Array;
  readonly #ofLayer: Int32Array;

  constructor(graph: StoreGraph) {
    this.#graph = graph;
    this.#ofBlob = new Int32Array(graph.blobs.length);
    this.#ofLayer = new Int32Array(graph.layers.length);
  }

  /** Claims what `roots` lead to, and a stack, as far as nobody has. All are indexes of the graph. */
  hold(because: string, roots: readonly number[], chain: number): void {
    const reason = this.#reasons.push(because) - 1;
    this.#graph.reach(roots, (blob) => claim(this.#ofBlob, blob, reason));
    // What lies below a layer that somebody else holds already may be held by nobody else: go all the way down.
    this.#graph.climb(chain, (layer) => claim(this.#ofLayer, layer, reason));
  }

  holdLayer(because: string, layer: number): void {
    claim(this.#ofLayer, layer, this.#reasons.push(because) - 1);
  }

  ofBlob(blob: number): string | undefined {
    return this.#reasons[this.#ofBlob[blob] as number];
  }

  ofLayer(layer: number): string | undefined {
    return this.#reasons[this.#ofLayer[layer] as number];
  }
}

/** Notes a reason; false when there was one. */
function claim(reasons: Int32Array, thing: number, reason: number): boolean {
  if (thing < 0 || reasons[thing] !== 0) return false;
  reasons[thing] = reason;
  return true;
}
