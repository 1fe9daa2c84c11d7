/** Rows of unpacked layers. */
import type { ChainID, DiffID } from '../oci/digest.ts';
import type { Database } from './database.ts';

/** A diffID (drivers with independent stacking) or a chainID (sequential). */
export type LayerKey = DiffID | ChainID;

export interface LayerRow {
  readonly key: LayerKey;
  /** The driver's name of it. */
  readonly id: string;
  readonly diffId: DiffID;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
  /** Bytes on disk, as `du` counts. */
  readonly bytes: number;
  readonly inodes: number;
  /** Whether the index of its files is kept. */
  readonly indexed: boolean;
  readonly addedAt: number;
}

const COLUMNS = 'key, id, diff_id AS diffId, tar_size AS tarSize, bytes, inodes, indexed, added_at AS addedAt';

type Stored = Omit<LayerRow, 'indexed'> & { indexed: number };

function fromStored(row: Stored): LayerRow {
  return { ...row, indexed: row.indexed === 1 };
}

export class Layers {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(key: LayerKey): LayerRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM layers WHERE key = ?`, key);
    return row && fromStored(row);
  }

  /** Whether this tar is unpacked somewhere, over whatever parent. */
  hasDiff(diffId: DiffID): boolean {
    return this.#db.get('SELECT 1 FROM layers WHERE diff_id = ?', diffId) !== undefined;
  }

  byId(id: string): LayerRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM layers WHERE id = ?`, id);
    return row && fromStored(row);
  }

  list(): LayerRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM layers ORDER BY key`).map(fromStored);
  }

  /** The layers under a chainID, top first, as `lowerdir=` orders them. */
  stack(chainId: ChainID): LayerRow[] {
    return this.#db
      .all<Stored>(
        `WITH RECURSIVE stack (layer, parent, depth) AS (
           SELECT layer, parent, 0 FROM snapshots WHERE key = ?
           UNION ALL
           SELECT s.layer, s.parent, depth + 1 FROM snapshots s JOIN stack ON s.key = stack.parent)
         SELECT ${COLUMNS} FROM stack JOIN layers ON layers.key = stack.layer ORDER BY depth`,
        chainId,
      )
      .map(fromStored);
  }

  put(row: LayerRow): void {
    this.#db.run(
      `INSERT INTO layers (key, id, diff_id, tar_size, bytes, inodes, indexed, added_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      row.key,
      row.id,
      row.diffId,
      row.tarSize,
      row.bytes,
      row.inodes,
      Number(row.indexed),
      row.addedAt,
    );
  }

  /** The same layer, unpacked anew under another id. */
  replace(row: LayerRow): void {
    this.#db.run(
      'UPDATE layers SET id = ?, tar_size = ?, bytes = ?, inodes = ?, indexed = ?, added_at = ? WHERE key = ?',
      row.id,
      row.tarSize,
      row.bytes,
      row.inodes,
      Number(row.indexed),
      row.addedAt,
      row.key,
    );
  }

  setIndexed(key: LayerKey, indexed: boolean): void {
    this.#db.run('UPDATE layers SET indexed = ? WHERE key = ?', Number(indexed), key);
  }

  delete(key: LayerKey): boolean {
    return this.#db.run('DELETE FROM layers WHERE key = ?', key) > 0;
  }
}
