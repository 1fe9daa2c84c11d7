/**
 * The whole store as a graph of numbers: what `df` and `gc --dry-run` think about. Digests are long and rows are
 * many, so each is looked up once, when it is read; from then on images, blobs, layers and stacks are indexes.
 */
import type { Database } from '../metadata/database.ts';
import { KeyList, numbersIn } from '../metadata/key-list.ts';
import { GraphImages } from './graph-images.ts';

/** Nothing: no parent, or not in the store. */
export const NONE = -1;

export class StoreGraph {
  readonly images: GraphImages;
  /** Sorted. */
  readonly blobs: KeyList;
  readonly blobSizes: Float64Array;
  /** Sorted. */
  readonly layers: KeyList;
  readonly layerBytes: Float64Array;
  readonly layerInodes: Float64Array;
  /** Committed stacks by their chainIDs. */
  readonly chains: KeyList;
  /** children[from[i]] … children[from[i + 1] - 1] are the blobs that blob i names, NONE those that are not stored. */
  readonly #from: Int32Array;
  readonly #children: Int32Array;
  readonly #chainParent: Int32Array;
  readonly #chainLayer: Int32Array;

  constructor(database: Database) {
    const [blobs, digests, sizes] = database.texts(
      ['digest', 'size'],
      'SELECT digest, size FROM blobs ORDER BY digest',
    );
    this.blobs = new KeyList(digests, blobs);
    this.blobSizes = numbersIn(sizes, blobs);
    [this.#from, this.#children] = childrenOf(database, this.blobs);
    const [layers, keys, bytes, inodes] = database.texts(
      ['key', 'bytes', 'inodes'],
      'SELECT key, bytes, inodes FROM layers ORDER BY key',
    );
    this.layers = new KeyList(keys, layers);
    this.layerBytes = numbersIn(bytes, layers);
    this.layerInodes = numbersIn(inodes, layers);
    // A base is its own parent here: that keeps the keys of one length.
    const [chains, chainIds, parents, tops] = database.texts(
      ['key', 'below', 'layer'],
      `SELECT key, ifnull(parent, key) AS below, layer FROM snapshots WHERE kind = 'committed'`,
    );
    this.chains = new KeyList(chainIds, chains);
    this.#chainParent = this.chains
      .placesOf(new KeyList(parents, chains))
      .map((parent, chain) => (parent === chain ? NONE : parent));
    this.#chainLayer = this.layers.placesOf(new KeyList(tops, chains));
    this.images = new GraphImages(database, this.blobs, this.chains);
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

  /** Calls `visit` for the layers of a stack, top first. */
  climb(chain: number, visit: (layer: number) => void): void {
    for (let at = chain; at !== NONE; at = this.#chainParent[at] as number) visit(this.#chainLayer[at] as number);
  }
}

/** What each blob names: where its children begin, and the children of all. */
function childrenOf(database: Database, blobs: KeyList): [from: Int32Array, children: Int32Array] {
  const [parents, keys, counts] = database.texts(
    ['parent', 'count'],
    'SELECT parent, count(*) AS count FROM refs GROUP BY parent ORDER BY parent',
  );
  const [count, names] = database.texts(['child'], 'SELECT child FROM refs ORDER BY parent, position');
  const from = new Int32Array(blobs.length + 1);
  const counted = numbersIn(counts, parents);
  // A parent is stored, always.
  for (const [i, parent] of blobs.placesOf(new KeyList(keys, parents)).entries())
    from[parent + 1] = counted[i] as number;
  for (let i = 1; i < from.length; i++) from[i] = (from[i] as number) + (from[i - 1] as number);
  return [from, blobs.placesOf(new KeyList(names, count))];
}
