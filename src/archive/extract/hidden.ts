/**
 * What a layer hides, as it is when all its entries are there. Whiteouts and opaque directories were noted by the
 * paths that entries had; since then a link on such a path may have been replaced, or a directory have gone with its
 * marks. So the paths are followed once more, and what is found there counts.
 */

import { isTslayerError } from '../../errors.ts';
import { realDirectory } from './parents.ts';
import { join, keyOf, nameOf, parentOf } from './spelling.ts';

export class Hidden {
  readonly #whiteouts: Set<string> = new Set();
  readonly #opaque: Set<string> = new Set();
  readonly #real: Map<string, Uint8Array | undefined> = new Map();

  get hasWhiteouts(): boolean {
    return this.#whiteouts.size > 0;
  }

  addWhiteout(path: Uint8Array): void {
    this.#whiteouts.add(keyOf(path));
  }

  addOpaque(directory: Uint8Array): void {
    this.#opaque.add(keyOf(directory));
  }

  /** Directories that are still opaque, by what `isMarked` finds; keys. */
  opaqueNow(isMarked: (directory: Uint8Array) => boolean): ReadonlySet<string> {
    const now = new Set<string>();
    for (const key of this.#opaque) {
      const directory = this.#realOf(key);
      if (directory !== undefined && isMarked(directory)) now.add(keyOf(directory));
    }
    return now;
  }

  /** Hidden paths, without links in the middle; whether the whiteouts are still there is not looked at. */
  *whiteoutsNow(): Generator<Uint8Array, void> {
    for (const key of this.#whiteouts) {
      const path = Buffer.from(key, 'latin1');
      const directory = this.#realOf(keyOf(parentOf(path)));
      if (directory !== undefined) yield join(directory, nameOf(path));
    }
  }

  #realOf(key: string): Uint8Array | undefined {
    if (!this.#real.has(key)) this.#real.set(key, follow(Buffer.from(key, 'latin1')));
    return this.#real.get(key);
  }
}

function follow(path: Uint8Array): Uint8Array | undefined {
  try {
    return realDirectory(path);
  } catch (error) {
    // Links that lead to each other by now.
    if (isTslayerError(error, 'UNSAFE_LAYER')) return undefined;
    throw error;
  }
}
