/** Sizes of stacks: each committed snapshot's layers added up, once for all that share them. */
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID } from '../oci/digest.ts';

export interface StackSize {
  readonly bytes: number;
  readonly inodes: number;
  readonly layers: number;
}

const EMPTY: StackSize = { bytes: 0, inodes: 0, layers: 0 };

interface ChainRow {
  readonly key: ChainID;
  readonly parent: ChainID | null;
  readonly bytes: number;
  readonly inodes: number;
}

export class StackSizes {
  readonly #rows: Map<ChainID, ChainRow>;
  readonly #sizes = new Map<ChainID, StackSize>();

  constructor(metadata: Metadata) {
    const rows = metadata.database.all<ChainRow>(
      'SELECT s.key, s.parent, l.bytes, l.inodes FROM snapshots s JOIN layers l ON l.key = s.layer',
    );
    this.#rows = new Map(rows.map((row) => [row.key, row]));
  }

  of(chain: ChainID): StackSize {
    // From the nearest known size up: stacks may be hundreds of layers deep.
    const pending: ChainRow[] = [];
    let size: StackSize | undefined;
    for (let row = this.#rows.get(chain); row; row = row.parent === null ? undefined : this.#rows.get(row.parent)) {
      size = this.#sizes.get(row.key);
      if (size) break;
      pending.push(row);
    }
    let sum = size ?? EMPTY;
    for (const row of pending.reverse()) {
      sum = { bytes: sum.bytes + row.bytes, inodes: sum.inodes + row.inodes, layers: sum.layers + 1 };
      this.#sizes.set(row.key, sum);
    }
    return sum;
  }
}
