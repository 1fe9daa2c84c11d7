/**
 * Unpacked layers: a driver's directory and the rows that vouch for what is in it. A layer gets its id and a garbage
 * row before the driver writes a byte, and its own row when it is verified and durable; in between, a crash leaves
 * a garbage row of a dead session, which says what to remove.
 */
import { rmSync } from 'node:fs';
import type { LayerApplication, Stack, StorageDriver } from '../../drivers/driver.ts';
import type { SinkPlan, SinkResult } from '../archive/sink.ts';
import { TslayerError } from '../errors.ts';
import type { LayerKey, LayerRow } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { ChainID, DiffID } from '../oci/digest.ts';
import { layerIndexPath, layerLockPath, type StorePaths } from '../store-layout.ts';
import type { LockOptions } from '../sys/locks.ts';
import { holdLock } from './locks.ts';
import type { Session } from './session.ts';

export interface LayerStoreOptions {
  readonly paths: StorePaths;
  readonly metadata: Metadata;
  readonly session: Session;
  readonly driver: () => Promise<StorageDriver>;
  /** Another one by its name: that which a conversion came from or was going to. */
  readonly otherDriver: (name: string) => Promise<StorageDriver>;
  readonly durable: boolean;
}

/** Ids reserved at once: one sync for as many layers as most images have. */
const ID_BLOCK = 64;

/** What was learnt while a layer was unpacked. */
export interface UnpackedLayer {
  readonly diffId: DiffID;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  readonly result: SinkResult;
  /** Whether the index of its files was written to `indexPath`. */
  readonly indexed: boolean;
}

/** A layer being written. Disposing without `commit` removes it. */
export interface LayerWriter extends AsyncDisposable {
  readonly id: string;
  readonly sink: SinkPlan;
  /** Where the index of the layer's files goes, for those who write one. */
  readonly indexPath: string;
  /** Makes the layer durable and its row visible; `alongside` runs in the transaction that does so. */
  commit(layer: UnpackedLayer, alongside?: () => void): Promise<LayerRow>;
  /** `commit` in place of a layer that has its row already. */
  replace(layer: UnpackedLayer, alongside: () => void): Promise<LayerRow>;
}

export class LayerStore {
  readonly #options: LayerStoreOptions;
  /** Reserved, not used yet. */
  readonly #ids: string[] = [];
  /** Those among them that have their garbage rows. */
  readonly #expected: string[] = [];

  constructor(options: LayerStoreOptions) {
    this.#options = options;
  }

  /** The key of a layer: what makes two layers the same one for a driver. */
  keyOf(stacking: StorageDriver['stacking'], diffId: DiffID, chainId: ChainID): LayerKey {
    return stacking === 'independent' ? diffId : chainId;
  }

  /** Keeps other processes from unpacking the same layer. */
  lock(key: LayerKey, options?: LockOptions): Promise<Disposable> {
    return holdLock(layerLockPath(this.#options.paths, key), options);
  }

  /** Begins a layer over the stack `parent`. The caller holds the layer's lock and has seen that it is not there. */
  async begin(key: LayerKey, parent: ChainID | undefined): Promise<LayerWriter> {
    const { paths, metadata, durable } = this.#options;
    const driver = await this.#options.driver();
    const stack = driver.stacking === 'independent' || parent === undefined ? [] : this.stack(parent);
    const id = await this.newId('layer', driver);
    const application = await driver.apply(id, stack, { durable });
    let open = true;
    const finish = async (layer: UnpackedLayer, store: (row: LayerRow) => void): Promise<LayerRow> => {
      await application.commit(layer.result);
      const row = await this.#row(driver, key, id, layer);
      metadata.transaction(() => {
        this.requireCurrent(driver);
        store(row);
        metadata.garbage.delete('layer', id);
      });
      open = false;
      return row;
    };
    return {
      id,
      sink: application.sink,
      indexPath: layerIndexPath(paths, id),
      commit: (layer, alongside) =>
        finish(layer, (row) => {
          metadata.layers.put(row);
          alongside?.();
        }),
      replace: (layer, alongside) =>
        finish(layer, (row) => {
          metadata.layers.replace(row);
          alongside();
        }),
      [Symbol.asyncDispose]: async () => {
        if (open) await this.#abort(application, id);
      },
    };
  }

  /**
   * Layer ids under a chainID, top first, each once. Overlayfs refuses a directory that comes twice (ELOOP), and the
   * lower one of two equal layers shows nothing: all it has and hides, the upper one has and hides.
   */
  stack(chainId: ChainID): Stack {
    const stack = this.#options.metadata.layers.stack(chainId);
    // An empty stack would be a file system without the layers that somebody counts on.
    if (stack.length === 0) throw new TslayerError('NOT_FOUND', `no unpacked layers have the chainID ${chainId}`);
    return [...new Set(stack.map((layer) => layer.id))];
  }

  /** Id of this process's session, open from now on. */
  session(): Promise<string> {
    return this.#options.session.open();
  }

  /**
   * Layers that are about to begin get their ids and garbage rows together: small ones take so little that a transaction
   * more for each would show. Disposing forgets those that did not begin.
   */
  async expect(count: number): Promise<Disposable> {
    if (count > 0) this.#expected.push(...(await this.#newIds('layer', await this.#options.driver(), count)));
    return {
      [Symbol.dispose]: () => {
        const { metadata } = this.#options;
        if (this.#expected.length === 0) return;
        metadata.transaction(() => {
          for (const id of this.#expected.splice(0)) metadata.garbage.delete('layer', id);
        });
      },
    };
  }

  /** A new id for what `driver` is going to make, recorded as garbage of this session until a row names it. */
  async newId(kind: 'layer' | 'snapshot', driver: StorageDriver): Promise<string> {
    const expected = kind === 'layer' ? this.#expected.shift() : undefined;
    return expected ?? ((await this.#newIds(kind, driver, 1))[0] as string);
  }

  async #newIds(kind: 'layer' | 'snapshot', driver: StorageDriver, count: number): Promise<string[]> {
    const { metadata } = this.#options;
    const session = await this.session();
    if (this.#ids.length < count) this.#ids.push(...metadata.settings.reserveIds(Math.max(count, ID_BLOCK)));
    const ids = this.#ids.splice(0, count);
    metadata.transaction(() => {
      for (const id of ids) metadata.garbage.put({ kind, key: id, session, driver: driver.name });
    });
    return ids;
  }

  /** A row must not name what another driver than the recorded one has made. Inside a transaction. */
  requireCurrent(driver: StorageDriver): void {
    const recorded = this.#options.metadata.settings.get('driver');
    if (recorded === driver.name) return;
    throw new TslayerError('IN_USE', `the store was converted to ${recorded} meanwhile`, { hint: 'try again' });
  }

  /** Removes what a garbage row says, from the disk first. */
  async discard(kind: 'layer' | 'snapshot', id: string): Promise<void> {
    await this.removeFromDisk(id);
    this.#options.metadata.garbage.delete(kind, id);
  }

  /**
   * Removes a layer or snapshot that has no row, and its index. Idempotent. Only the driver that made it knows how:
   * an image file, a directory and a subvolume are three things.
   */
  async removeFromDisk(id: string, madeBy?: string | null): Promise<void> {
    const { driver, otherDriver } = this.#options;
    const own = await driver();
    await (madeBy == null || madeBy === own.name ? own : await otherDriver(madeBy)).remove(id);
    rmSync(layerIndexPath(this.#options.paths, id), { force: true });
  }

  async #abort(application: LayerApplication, id: string): Promise<void> {
    await application.abort();
    rmSync(layerIndexPath(this.#options.paths, id), { force: true });
    this.#options.metadata.garbage.delete('layer', id);
  }

  async #row(driver: StorageDriver, key: LayerKey, id: string, layer: UnpackedLayer): Promise<LayerRow> {
    // Looked at, not taken from the sink: what the file system made of the layer is what `df` answers for.
    const { bytes, inodes } = await driver.usage(id);
    const { diffId, tarSize, indexed } = layer;
    return { key, id, diffId, tarSize, bytes, inodes, indexed, addedAt: Date.now() };
  }
}
