/** Sizes of stacks: each committed snapshot's layers added up, once for all that share them. */
import type { Database } from '../metadata/database.ts';
import { KeyList, NO_KEY, numbersIn } from '../metadata/key-list.ts';
import type { ChainID } from '../oci/digest.ts';

const NONE = -1;

export class StackSizes {
  readonly #chains: KeyList;
  readonly #parents: Int32Array;
  /** Bytes of each stack's top layer. */
  readonly #own: Float64Array;
  /** Bytes of each stack; negative while they are not known. */
  readonly #bytes: Float64Array;

  constructor(database: Database) {
    // A base is its own parent here: that keeps the keys of one length.
    const [count, keys, parents, bytes] = database.texts(
      ['key', 'below', 'bytes'],
      'SELECT s.key, ifnull(s.parent, s.key) AS below, l.bytes FROM snapshots s JOIN layers l ON l.key = s.layer',
    );
    this.#chains = new KeyList(keys, count);
    this.#parents = this.#chains.placesOf(new KeyList(parents, count));
    this.#own = numbersIn(bytes, count);
    this.#bytes = new Float64Array(count).fill(-1);
  }

  /** Bytes on disk of each stack's layers; 0 for what is no stack. */
  bytesOf(chains: readonly (ChainID | null)[]): number[] {
    const places = this.#chains.placesOf(KeyList.of(chains.map((chain) => chain ?? NO_KEY)));
    return Array.from(places, (place) => (place === NONE ? 0 : this.#sum(place)));
  }

  #sum(stack: number): number {
    // From the nearest known size up: stacks may be hundreds of layers deep.
    const pending: number[] = [];
    let at = stack;
    while (at !== NONE && (this.#bytes[at] as number) < 0) {
      pending.push(at);
      at = this.#parents[at] === at ? NONE : (this.#parents[at] as number);
    }
    let sum = at === NONE ? 0 : (this.#bytes[at] as number);
    for (const above of pending.reverse()) {
      sum += this.#own[above] as number;
      this.#bytes[above] = sum;
    }
    return sum;
  }
}
