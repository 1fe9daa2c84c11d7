/**
 * `convert --driver`: every layer unpacked anew by another driver, from its blob. Both drivers' layers lie side by
 * side until one transaction changes all rows and the recorded driver; then the old ones go. A crash before it
 * leaves the store as it was. What it leaves of the other driver, before or after, is garbage whose rows say who made
 * it, and the next open sweeps it.
 */
import { rmSync } from 'node:fs';
import type { DriverModule, StorageDriver } from '../../drivers/driver.ts';
import { TslayerError, throwIfAborted } from '../errors.ts';
import { listSessions, takeSession } from '../layers/session.ts';
import type { GarbageRow } from '../metadata/garbage.ts';
import type { LayerKey, LayerRow } from '../metadata/layers.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type ChainID, type DiffID } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import { layerIndexPath } from '../store-layout.ts';
import { removeGarbage } from './collect.ts';
import type { StoreContext } from './context.ts';

export interface Conversion {
  readonly from: string;
  readonly to: string;
  readonly layers: number;
  /** Bytes on disk of all unpacked layers, before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/**
 * Gives the store another driver; the store goes on with it.
 * @throws IN_USE while something is made of an image, or another process works on the store; NOT_FOUND when a
 *   layer's blob is not there (`keepBlobs = false`)
 */
export async function convertStore(
  context: StoreContext,
  module: DriverModule,
  options: OperationOptions = {},
): Promise<Conversion> {
  const { metadata, paths } = context;
  const from = context.driverName;
  if (from === undefined || from === module.name) {
    return { from: from ?? module.name, to: module.name, layers: 0, bytesBefore: 0, bytesAfter: 0 };
  }
  await requireAlone(context);
  const driver = await module.open(paths.layers);
  const conversion = new Converter(context, driver, options);
  const before = metadata.layers.list();
  await conversion.unpackAll();
  await conversion.swap(from);
  return {
    from,
    to: module.name,
    layers: conversion.rows.length,
    bytesBefore: sumBytes(before),
    bytesAfter: sumBytes(conversion.rows),
  };
}

function sumBytes(rows: readonly LayerRow[]): number {
  return rows.reduce((sum, { bytes }) => sum + bytes, 0);
}

async function requireAlone({ metadata, paths, session }: StoreContext): Promise<void> {
  requireUnused(metadata);
  await session.open();
  for (const id of listSessions(paths)) {
    if (id === session.openId) continue;
    using taken = await takeSession(paths, id);
    if (!taken) throw new TslayerError('IN_USE', 'another process works on the store');
  }
}

function requireUnused(metadata: Metadata): void {
  const [user] = metadata.snapshots.writable();
  if (user) throw new TslayerError('IN_USE', `${user.key} is made of an image: unmount or remove it first`);
}

interface Chain {
  readonly key: ChainID;
  readonly parent: ChainID | null;
  readonly diffId: DiffID;
}

class Converter {
  readonly rows: LayerRow[] = [];
  readonly #context: StoreContext;
  readonly #driver: StorageDriver;
  readonly #options: OperationOptions;
  readonly #chains: readonly Chain[];
  readonly #byKey = new Map<LayerKey, LayerRow>();
  readonly #stacks = new Map<ChainID, readonly string[]>();

  constructor(context: StoreContext, driver: StorageDriver, options: OperationOptions) {
    this.#context = context;
    this.#driver = driver;
    this.#options = options;
    this.#chains = readChains(context);
  }

  /** Parents first. What was unpacked goes again when one fails. */
  async unpackAll(): Promise<void> {
    try {
      for (const chain of this.#chains) {
        throwIfAborted(this.#options.signal);
        const key = this.#keyOf(chain);
        const row = this.#byKey.get(key) ?? (await this.#unpack(chain, key));
        this.#byKey.set(key, row);
        this.#stacks.set(chain.key, [row.id, ...this.#stackBelow(chain)]);
      }
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
  }

  /** What cannot be removed now keeps its garbage row, and does not hide why it has to go. */
  async #giveUp(): Promise<void> {
    await this.#removeAll().catch(() => undefined);
  }

  async #removeAll(): Promise<void> {
    const { metadata, paths } = this.#context;
    for (const { id } of this.rows) {
      await this.#driver.remove(id);
      rmSync(layerIndexPath(paths, id), { force: true });
    }
    metadata.transaction(() => {
      for (const { id } of this.rows) metadata.garbage.delete('layer', id);
    });
  }

  /** All rows at once, then the old layers from the disk. */
  async swap(from: string): Promise<void> {
    const session = await this.#context.session.open();
    let old: readonly GarbageRow[];
    try {
      old = this.#swapRows(from, session);
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
    await removeGarbage(this.#context, old);
  }

  /** What the old driver's layers are from now on. */
  #swapRows(from: string, session: string): readonly GarbageRow[] {
    const context = this.#context;
    const { metadata } = context;
    return metadata.transaction(
      () => {
        // Another process may have begun something while the layers were unpacked.
        requireUnused(metadata);
        if (!sameChains(readChains(context), this.#chains)) {
          throw new TslayerError('IN_USE', 'layers were added or removed meanwhile: try again');
        }
        metadata.garbage.nameDriver(from);
        const old: GarbageRow[] = [];
        metadata.database.run('PRAGMA defer_foreign_keys = ON');
        for (const { key, id } of metadata.layers.list()) {
          metadata.layers.delete(key);
          const row: GarbageRow = { kind: 'layer', key: id, session, driver: from };
          metadata.garbage.put(row);
          old.push(row);
        }
        for (const row of this.rows) {
          metadata.layers.put(row);
          metadata.garbage.delete('layer', row.id);
        }
        for (const chain of this.#chains) metadata.snapshots.setLayer(chain.key, this.#keyOf(chain));
        metadata.settings.set('driver', this.#driver.name);
        metadata.settings.set('stacking', this.#driver.stacking);
        return old;
      },
      { durable: true },
    );
  }

  #keyOf(chain: Chain): LayerKey {
    return this.#driver.stacking === 'independent' ? chain.diffId : chain.key;
  }

  #stackBelow({ parent }: Chain): readonly string[] {
    return parent === null ? [] : (this.#stacks.get(parent) ?? []);
  }

  async #unpack(chain: Chain, key: LayerKey): Promise<LayerRow> {
    const { layers, config, paths, blobs, unpacker } = this.#context;
    const { signal, onProgress } = this.#options;
    const descriptor = this.#blobOf(chain.diffId);
    const id = await layers.newId('layer', this.#driver);
    const stack = this.#driver.stacking === 'independent' ? [] : this.#stackBelow(chain);
    const application = await this.#driver.apply(id, stack, { durable: config.durability === 'layer' });
    const { digest, size } = descriptor;
    try {
      const unpacked = await unpacker.unpack({
        source: blobs.open(digest),
        size,
        sink: application.sink,
        limits: config.limits,
        indexPath: layerIndexPath(paths, id),
        algorithm: algorithmOf(chain.diffId),
        signal,
        onBytes: (bytes) => onProgress?.({ type: 'unpack', digest, bytes }),
      });
      const { diffId, tarSize, indexed } = unpacked;
      if (diffId !== chain.diffId) throw new TslayerError('DIFF_ID_MISMATCH', `blob ${digest} unpacks to ${diffId}`);
      await application.commit(unpacked.result);
      const { bytes, inodes } = await this.#driver.usage(id);
      const row = { key, id, diffId, tarSize, bytes, inodes, indexed, addedAt: Date.now() };
      this.rows.push(row);
      onProgress?.({ type: 'layer', digest, state: 'done', bytes: size });
      return row;
    } catch (error) {
      await application.abort();
      rmSync(layerIndexPath(paths, id), { force: true });
      this.#context.metadata.garbage.delete('layer', id);
      throw error;
    }
  }

  #blobOf(diffId: DiffID): Descriptor {
    const { metadata } = this.#context;
    for (const { digest } of metadata.blobs.blobsOf(diffId)) {
      const row = metadata.blobs.get(digest);
      if (row) return row;
    }
    throw new TslayerError('NOT_FOUND', `the blob of layer ${diffId} is not in the store`, {
      hint: 'it was dropped by keepBlobs = false: pull its image again with keepBlobs = true',
    });
  }
}

function readChains({ metadata }: StoreContext): Chain[] {
  return metadata.database.all<Chain>(
    `WITH RECURSIVE up (key, parent, layer, depth) AS (
       SELECT key, parent, layer, 0 FROM snapshots WHERE kind = 'committed' AND parent IS NULL
       UNION ALL
       SELECT s.key, s.parent, s.layer, depth + 1 FROM snapshots s JOIN up ON s.parent = up.key
       WHERE s.kind = 'committed')
     SELECT up.key, up.parent, l.diff_id AS diffId FROM up JOIN layers l ON l.key = up.layer ORDER BY depth, up.key`,
  );
}

function sameChains(a: readonly Chain[], b: readonly Chain[]): boolean {
  return a.length === b.length && a.every(({ key }, i) => key === b[i]?.key);
}
