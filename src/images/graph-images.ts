/** The images of a store's graph: a list for each column, by name. */
import type { Database } from '../metadata/database.ts';
import { KeyList, NO_KEY, numbersIn, stringsIn } from '../metadata/key-list.ts';

export class GraphImages {
  readonly names: readonly string[];
  readonly manifestDigests: KeyList;
  readonly configDigests: KeyList;
  /** Indexes of blobs. */
  readonly targets: Int32Array;
  readonly manifests: Int32Array;
  readonly configs: Int32Array;
  /** Indexes of stacks, -1 where there is none. */
  readonly chains: Int32Array;
  /** 1 or 0. */
  readonly unpacked: Float64Array;
  /** Milliseconds. */
  readonly usedAt: Float64Array;

  constructor(database: Database, blobs: KeyList, chains: KeyList) {
    const [count, names, targets, manifests, configs, chainIds, unpacked, usedAt] = database.texts(
      ['name', 'target', 'manifest', 'config', 'chain', 'unpacked', 'used_at'],
      `SELECT name, target, manifest, config, ifnull(chain_id, '${NO_KEY}') AS chain, unpacked, used_at
       FROM images ORDER BY name`,
    );
    this.names = stringsIn(names, count);
    this.targets = blobs.placesOf(new KeyList(targets, count));
    this.manifestDigests = new KeyList(manifests, count);
    this.manifests = blobs.placesOf(this.manifestDigests);
    this.configDigests = new KeyList(configs, count);
    this.configs = blobs.placesOf(this.configDigests);
    this.chains = chains.placesOf(new KeyList(chainIds, count));
    this.unpacked = numbersIn(unpacked, count);
    this.usedAt = numbersIn(usedAt, count);
  }

  /** Where an image begins: its manifest, which leads to the config, and what else its names stand for. */
  roots(names: readonly number[]): number[] {
    const manifest = this.manifests[names[0] as number] as number;
    const targets = names.map((name) => this.targets[name] as number);
    return [manifest, ...targets.filter((target) => target !== manifest)];
  }
}
