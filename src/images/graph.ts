/**
 * The whole store as a graph of numbers: what `df` and `gc --dry-run` think about. Digests are long and rows are
 * many, so each string is looked up once, when it is read; from then on blobs, layers and stacks are indexes.
 */
import type { ImageRow } from '../metadata/images.ts';
import type { LayerKey } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { Digest } from '../oci/digest.ts';

/** Nothing: no parent, or not in the store. */
const NONE = -1;

export class StoreGraph {
  readonly images: readonly ImageRow[];
  /** Sorted. */
  readonly blobs: readonly Digest[];
  readonly blobSizes: readonly number[];
  /** Sorted. */
  readonly layers: readonly LayerKey[];
  readonly layerBytes: readonly number[];
  readonly layerInodes: readonly number[];
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
    const [blobs, sizes] = database.lists(['digest', 'size'], 'SELECT digest, size FROM blobs ORDER BY digest');
    this.blobs = blobs as Digest[];
    this.blobSizes = sizes.map(Number);
    const columns = ['key', 'bytes', 'inodes'] as const;
    const [keys, bytes, inodes] = database.lists(columns, 'SELECT key, bytes, inodes FROM layers ORDER BY key');
    this.layers = keys as LayerKey[];
    this.layerBytes = bytes.map(Number);
    this.layerInodes = inodes.map(Number);
    this.#blobIndex = indexOf(this.blobs);
    const refs = database.columns<[parent: Digest, children: string]>(
      `SELECT parent, group_concat(child, ' ') FROM (SELECT parent, child FROM refs ORDER BY parent, position)
       GROUP BY parent ORDER BY parent`,
    );
    [this.#from, this.#children] = this.#connect(refs);
    const layerIndex = indexOf(this.layers);
    const [chains, parents, tops] = database.lists(
      ['key', 'parent', 'layer'],
      `SELECT key, ifnull(parent, '') AS parent, layer FROM snapshots WHERE kind = 'committed'`,
    );
    this.#chainIndex = indexOf(chains);
    this.#chainParent = Int32Array.from(parents, (parent) => this.#chainIndex.get(parent) ?? NONE);
    this.#chainLayer = Int32Array.from(tops, (layer) => layerIndex.get(layer) ?? NONE);
  }

  /** Index of a stored blob, -1 when it is not stored. */
  blob(digest: string | null): number {
    return (digest === null ? undefined : this.#blobIndex.get(digest)) ?? NONE;
  }

  /** Where an image begins: its manifest, which leads to the config, and what else its names stand for. */
  roots(manifest: Digest, rows: readonly Pick<ImageRow, 'target'>[]): number[] {
    const others = rows.filter(({ target }) => target !== manifest).map(({ target }) => this.blob(target));
    return [this.blob(manifest), ...others];
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

  #connect(refs: readonly (readonly [parent: Digest, children: string])[]): [Int32Array, Int32Array] {
    const from = new Int32Array(this.blobs.length + 1);
    const children: number[] = [];
    let at = 0;
    // Both are sorted by the parent's digest, so that they are walked side by side. A parent is stored, always.
    for (let blob = 0; blob < this.blobs.length; blob++) {
      from[blob] = children.length;
      if (refs[at]?.[0] !== this.blobs[blob]) continue;
      for (const digest of refs[at++]?.[1].split(' ') ?? []) {
        const child = this.blob(digest);
        if (child !== NONE) children.push(child);
      }
    }
    from[this.blobs.length] = children.length;
    return [from, Int32Array.from(children)];
  }
}

function indexOf(keys: readonly string[]): Map<string, number> {
  const index = new Map<string, number>();
  for (let i = 0; i < keys.length; i++) index.set(keys[i] as string, i);
  return index;
}
