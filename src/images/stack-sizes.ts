/** Sizes of stacks: each committed snapshot's layers added up, once for all that share them. */
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID } from '../oci/digest.ts';

const NONE = -1;

export class StackSizes {
  readonly #index: ReadonlyMap<string, number>;
  readonly #parents: readonly number[];
  /** Bytes of each stack's top layer. */
  readonly #own: readonly number[];
  /** Bytes of each stack; negative while they are not known. */
  readonly #bytes: Float64Array;

  constructor(metadata: Metadata) {
    const [keys, parents, bytes] = metadata.database.lists(
      ['key', 'parent', 'bytes'],
      `SELECT s.key, ifnull(s.parent, '') AS parent, l.bytes FROM snapshots s JOIN layers l ON l.key = s.layer`,
    );
    this.#index = new Map(keys.map((key, i) => [key, i]));
    this.#parents = parents.map((parent) => this.#index.get(parent) ?? NONE);
    this.#own = bytes.map(Number);
    this.#bytes = new Float64Array(keys.length).fill(-1);
  }

  /** Bytes on disk of a stack's layers. */
  bytesOf(chain: ChainID): number {
    // From the nearest known size up: stacks may be hundreds of layers deep.
    const pending: number[] = [];
    let at = this.#index.get(chain) ?? NONE;
    for (; at !== NONE && (this.#bytes[at] as number) < 0; at = this.#parents[at] as number) pending.push(at);
    let sum = at === NONE ? 0 : (this.#bytes[at] as number);
    for (const stack of pending.reverse()) {
      sum += this.#own[stack] as number;
      this.#bytes[stack] = sum;
    }
    return sum;
  }
}
