/**
 * The whole store as a graph of numbers: what `df` and `gc --dry-run` think about. Digests are long and rows are
 * many, so each string is looked up once, when it is read; from then on blobs, layers and stacks are indexes.
 */
import type { ImageRow } from '../metadata/images.ts';
import type { LayerKey } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID, Digest } from '../oci/digest.ts';

/** Nothing: no parent, or not in the store. */
const NONE = -1;

export class StoreGraph {
  readonly images: readonly ImageRow[];
  readonly blobs: readonly (readonly [digest: Digest, size: number])[];
  readonly layers: readonly (readonly [key: LayerKey, bytes: number, inodes: number])[];
  readonly #blobIndex: ReadonlyMap<string, number>;
  readonly #chainIndex: ReadonlyMap<string, number>;
  /** children[from[i]] … children[from[i + 1] - 1] are the stored blobs that blob i names. */
  readonly #from: Int32Array;
  readonly #children: Int32Array;
  readonly #chainParent: Int32Array;
  readonly #chainLayer: Int32Array;

  constructor(metadata: Metadata) {
    const { database } = metadata;
    this.images = metadata.images.list();
    this.blobs = database.columns('SELECT digest, size FROM blobs ORDER BY digest');
    this.layers = database.columns('SELECT key, bytes, inodes FROM layers ORDER BY key');
    this.#blobIndex = indexOf(this.blobs);
    const refs = database.columns<[Digest, Digest]>('SELECT parent, child FROM refs ORDER BY parent, position');
    [this.#from, this.#children] = this.#connect(refs);
    const layerIndex = indexOf(this.layers);
    const chains = database.columns<[ChainID, ChainID | null, LayerKey]>(
      `SELECT key, parent, layer FROM snapshots WHERE kind = 'committed'`,
    );
    this.#chainIndex = indexOf(chains);
    this.#chainParent = Int32Array.from(chains, ([, parent]) => this.chain(parent));
    this.#chainLayer = Int32Array.from(chains, ([, , layer]) => layerIndex.get(layer) ?? NONE);
  }

  /** Index of a stored blob, -1 when it is not stored. */
  blob(digest: string | null): number {
    return (digest === null ? undefined : this.#blobIndex.get(digest)) ?? NONE;
  }

  /** Index of a committed stack, -1 when there is none. */
  chain(chainId: string | null): number {
    return (chainId === null ? undefined : this.#chainIndex.get(chainId)) ?? NONE;
  }

  /** Calls `visit` for each stored blob that `roots` lead to; not below one for which it returns false. */
  reach(roots: Iterable<number>, visit: (blob: number) => boolean): void {
    const pending = [...roots];
    for (let blob = pending.pop(); blob !== undefined; blob = pending.pop()) {
      if (blob === NONE || !visit(blob)) continue;
      const end = this.#from[blob + 1] as number;
      for (let i = this.#from[blob] as number; i < end; i++) pending.push(this.#children[i] as number);
    }
  }

  /** Calls `visit` for the layers of a stack, top first, until it returns false. */
  climb(chain: number, visit: (layer: number) => boolean): void {
    for (let at = chain; at !== NONE; at = this.#chainParent[at] as number) {
      if (!visit(this.#chainLayer[at] as number)) return;
    }
  }

  #connect(refs: readonly (readonly [Digest, Digest])[]): [Int32Array, Int32Array] {
    const from = new Int32Array(this.blobs.length + 1);
    const children = new Int32Array(refs.length);
    let count = 0;
    let at = 0;
    // Both are sorted by the parent's digest, so that they are walked side by side.
    for (let blob = 0; blob < this.blobs.length; blob++) {
      from[blob] = count;
      const digest = this.blobs[blob]?.[0] as Digest;
      for (; at < refs.length && (refs[at]?.[0] as Digest) <= digest; at++) {
        const child = this.blob(refs[at]?.[1] ?? null);
        if (child !== NONE) children[count++] = child;
      }
    }
    from[this.blobs.length] = count;
    return [from, children];
  }
}

function indexOf(rows: readonly (readonly [string, ...unknown[]])[]): Map<string, number> {
  const index = new Map<string, number>();
  for (let i = 0; i < rows.length; i++) index.set(rows[i]?.[0] as string, i);
  return index;
}
