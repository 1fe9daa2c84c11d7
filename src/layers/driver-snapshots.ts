/**
 * Snapshots over a driver. The driver only makes and removes directories by id; names, parents and labels are rows.
 * Foreign keys carry the rules: a parent that is gone cannot be named, and what has children cannot be deleted.
 */
import type { MountRequest, StorageDriver, Usage } from '../../drivers/driver.ts';
import { TslayerError } from '../errors.ts';
import type { Metadata } from '../metadata/metadata.ts';
import type { SnapshotRow } from '../metadata/snapshots.ts';
import type { Mount } from '../mounts/mount.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import type { LayerStore } from './layer-store.ts';
import type { SnapshotInfo, SnapshotStore } from './snapshot-store.ts';

export type Labels = Readonly<Record<string, string>>;

export interface CreateOptions {
  readonly kind: 'active' | 'view';
  readonly labels?: Labels;
  readonly manifest?: Digest;
  /** Runs in the transaction that puts the row: what uses the snapshot is recorded with it, or neither is. */
  readonly alongside?: () => void;
  /** The row outlives a power loss, and with it what is written and synced there. Default false. */
  readonly durable?: boolean;
}

export interface DriverSnapshotsOptions {
  readonly metadata: Metadata;
  readonly layers: LayerStore;
  readonly driver: () => Promise<StorageDriver>;
}

export class DriverSnapshots implements SnapshotStore {
  readonly #metadata: Metadata;
  readonly #layers: LayerStore;
  readonly #driver: () => Promise<StorageDriver>;

  constructor(options: DriverSnapshotsOptions) {
    this.#metadata = options.metadata;
    this.#layers = options.layers;
    this.#driver = options.driver;
  }

  stat(key: string): SnapshotInfo | undefined {
    const row = this.#metadata.snapshots.get(key);
    return row && asInfo(row);
  }

  async usage(key: string): Promise<Usage> {
    const row = this.#require(key);
    if (row.kind === 'view') return { bytes: 0, inodes: 0 };
    if (row.id !== null) return (await this.#driver()).usage(row.id);
    const layer = row.layer === null ? undefined : this.#metadata.layers.get(row.layer);
    return { bytes: layer?.bytes ?? 0, inodes: layer?.inodes ?? 0 };
  }

  /** A committed snapshot or a view is shown read-only. */
  async mounts(key: string, request: MountRequest = {}): Promise<readonly Mount[]> {
    const row = this.#require(key);
    const driver = await this.#driver();
    const top = row.kind === 'committed' ? (row.key as ChainID) : row.parent;
    const stack = top === null ? [] : this.#layers.stack(top);
    const readOnly = row.id === null || request.readOnly === true;
    return driver.mounts(row.id ?? undefined, stack, { ...request, readOnly });
  }

  prepare(key: string, parent: ChainID | undefined, labels: Labels = {}): Promise<SnapshotInfo> {
    return this.create(key, parent, { kind: 'active', labels });
  }

  view(key: string, parent: ChainID | undefined, labels: Labels = {}): Promise<SnapshotInfo> {
    return this.create(key, parent, { kind: 'view', labels });
  }

  /**
   * `prepare` and `view`, with the manifest of the image that the snapshot is made from: it keeps that image's
   * content, and `rmi` names the snapshot as the one who uses it.
   */
  async create(key: string, parent: ChainID | undefined, options: CreateOptions): Promise<SnapshotInfo> {
    this.#requireFree(key);
    const driver = await this.#driver();
    const id = options.kind === 'active' ? await this.#prepareDirectory(parent) : null;
    const row: SnapshotRow = {
      key,
      kind: options.kind,
      parent: parent ?? null,
      layer: null,
      id,
      manifest: options.manifest ?? null,
      labels: options.labels ?? {},
      createdAt: Date.now(),
    };
    const record = () => {
      this.#requireFree(key);
      this.#layers.requireCurrent(driver);
      this.#requireParent(parent);
      this.#requireManifest(row.manifest);
      this.#metadata.snapshots.put(row);
      options.alongside?.();
      if (id !== null) this.#metadata.garbage.delete('snapshot', id);
    };
    try {
      this.#metadata.transaction(record, { durable: options.durable ?? false });
    } catch (error) {
      if (id !== null) await this.#layers.discard('snapshot', id);
      throw error;
    }
    return asInfo(row);
  }

  /**
   * @param alongside runs first in the transaction that deletes the row
   * @param durable default true; false where a row that came back would name what nobody uses again
   */
  async remove(key: string, alongside?: () => void, durable: boolean = true): Promise<void> {
    const session = await this.#layers.session();
    const row = this.#metadata.transaction(
      () => {
        alongside?.();
        const found = this.#require(key);
        this.#requireUnused(found);
        this.#metadata.snapshots.delete(key);
        if (found.id !== null) this.#metadata.garbage.put({ kind: 'snapshot', key: found.id, session });
        return found;
      },
      { durable },
    );
    if (row.id !== null) await this.#layers.discard('snapshot', row.id);
  }

  *walk(): Iterable<SnapshotInfo> {
    for (const row of this.#metadata.snapshots.list()) yield asInfo(row);
  }

  async #prepareDirectory(parent: ChainID | undefined): Promise<string> {
    const driver = await this.#driver();
    const id = await this.#layers.newId('snapshot', driver);
    try {
      this.#requireParent(parent);
      await driver.prepare(id, parent === undefined ? [] : this.#layers.stack(parent));
      return id;
    } catch (error) {
      await this.#layers.discard('snapshot', id);
      // Whatever it ran into: layers that another process removes while they are copied are gone, no more.
      this.#requireParent(parent);
      throw error;
    }
  }

  #require(key: string): SnapshotRow {
    const row = this.#metadata.snapshots.get(key);
    if (row === undefined) throw new TslayerError('NOT_FOUND', `no snapshot is called ${key}`);
    return row;
  }

  #requireFree(key: string): void {
    if (this.#metadata.snapshots.get(key) !== undefined) {
      throw new TslayerError('ALREADY_EXISTS', `a snapshot is called ${key} already`);
    }
  }

  #requireParent(parent: ChainID | undefined): void {
    if (parent !== undefined && !this.#metadata.snapshots.hasChain(parent)) {
      throw new TslayerError('NOT_FOUND', `no unpacked layers have the chainID ${parent}`);
    }
  }

  /** The image may have been removed while its snapshot was made. */
  #requireManifest(manifest: Digest | null): void {
    if (manifest !== null && !this.#metadata.blobs.has(manifest)) {
      throw new TslayerError('NOT_FOUND', `the image ${manifest} is no longer in the store`);
    }
  }

  #requireUnused(row: SnapshotRow): void {
    const { key } = row;
    const mount = this.#metadata.mounts.get(key);
    if (mount) throw new TslayerError('IN_USE', `snapshot ${key} is mounted at ${mount.target}`);
    const [container] = this.#metadata.containers.bySnapshot(key);
    if (container) throw new TslayerError('IN_USE', `snapshot ${key} belongs to container ${container.name}`);
    const [child] = this.#metadata.snapshots.children(key);
    if (child) throw new TslayerError('IN_USE', `snapshot ${key} is the parent of ${child.key}`);
    if (row.kind === 'committed') {
      const [image] = this.#metadata.images.byChain(key as ChainID);
      if (image) throw new TslayerError('IN_USE', `snapshot ${key} is the top of image ${image.name}`);
    }
  }
}

function asInfo(row: SnapshotRow): SnapshotInfo {
  const { key, kind, parent, labels, createdAt } = row;
  return { key, kind, parent: parent ?? undefined, labels, createdAt: new Date(createdAt) };
}
