/** Rows of snapshots: committed stacks by chainID, active ones and views by name. */
import type { ChainID, Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';
import type { LayerKey } from './layers.ts';

export interface SnapshotRow {
  /** The chainID of a committed snapshot, the chosen name of the others. */
  readonly key: string;
  readonly kind: 'active' | 'view' | 'committed';
  readonly parent: ChainID | null;
  /** Top layer of a committed snapshot. */
  readonly layer: LayerKey | null;
  /** The driver's id of an active one. */
  readonly id: string | null;
  /** Manifest of the image that it was made from: keeps that image's content. */
  readonly manifest: Digest | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
}

const COLUMNS = 'key, kind, parent, layer, id, manifest, labels, created_at AS createdAt';

type Stored = Omit<SnapshotRow, 'labels'> & { labels: string };

function fromStored(row: Stored): SnapshotRow {
  return { ...row, labels: row.labels === '{}' ? {} : (JSON.parse(row.labels) as Record<string, string>) };
}

export class Snapshots {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(key: string): SnapshotRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM snapshots WHERE key = ?`, key);
    return row && fromStored(row);
  }

  hasChain(chainId: ChainID): boolean {
    return this.#db.get(`SELECT 1 FROM snapshots WHERE key = ? AND kind = 'committed'`, chainId) !== undefined;
  }

  list(): SnapshotRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM snapshots ORDER BY key`).map(fromStored);
  }

  /** Active snapshots and views. */
  writable(): SnapshotRow[] {
    const sql = `SELECT ${COLUMNS} FROM snapshots WHERE kind <> 'committed' ORDER BY key`;
    return this.#db.all<Stored>(sql).map(fromStored);
  }

  children(parent: string): SnapshotRow[] {
    const sql = `SELECT ${COLUMNS} FROM snapshots WHERE parent = ? ORDER BY key`;
    return this.#db.all<Stored>(sql, parent).map(fromStored);
  }

  /** Active snapshots and views made from an image. */
  byManifest(manifest: Digest): SnapshotRow[] {
    return this.#db
      .all<Stored>(`SELECT ${COLUMNS} FROM snapshots WHERE manifest = ? ORDER BY key`, manifest)
      .map(fromStored);
  }

  put(row: SnapshotRow): void {
    this.#db.run(
      `INSERT INTO snapshots (key, kind, parent, layer, id, manifest, labels, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      row.key,
      row.kind,
      row.parent,
      row.layer,
      row.id,
      row.manifest,
      JSON.stringify(row.labels),
      row.createdAt,
    );
  }

  /** A committed snapshot; idempotent, since a chainID says everything about it. */
  putChain(chainId: ChainID, parent: ChainID | undefined, layer: LayerKey, createdAt: number): void {
    this.#db.run(
      `INSERT INTO snapshots (key, kind, parent, layer, created_at) VALUES (?, 'committed', ?, ?, ?)
       ON CONFLICT DO NOTHING`,
      chainId,
      parent ?? null,
      layer,
      createdAt,
    );
  }

  /** The layer on top of a committed snapshot, under another key. */
  setLayer(key: ChainID, layer: LayerKey): void {
    this.#db.run('UPDATE snapshots SET layer = ? WHERE key = ?', layer, key);
  }

  delete(key: string): boolean {
    return this.#db.run('DELETE FROM snapshots WHERE key = ?', key) > 0;
  }
}
