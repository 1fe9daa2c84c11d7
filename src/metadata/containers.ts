/** Rows of containers: their names and what they hold. How they run is in containers/ID/, the launcher's. */
import type { Database } from './database.ts';

export interface ContainerRow {
  readonly id: string;
  readonly name: string;
  /** Key of the active snapshot that is its root file system; null when it has none of ours. */
  readonly snapshot: string | null;
  /** The image as it was asked for. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
}

const COLUMNS = 'id, name, snapshot, image, labels, created_at AS createdAt';

type Stored = Omit<ContainerRow, 'labels'> & { labels: string };

function fromStored(row: Stored): ContainerRow {
  return { ...row, labels: JSON.parse(row.labels) as Record<string, string> };
}

export class Containers {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: string): ContainerRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM containers WHERE id = ?`, id);
    return row && fromStored(row);
  }

  byName(name: string): ContainerRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM containers WHERE name = ?`, name);
    return row && fromStored(row);
  }

  /** Those whose id begins so. */
  byPrefix(prefix: string): ContainerRow[] {
    const sql = `SELECT ${COLUMNS} FROM containers WHERE substr(id, 1, ?) = ? ORDER BY id`;
    return this.#db.all<Stored>(sql, prefix.length, prefix).map(fromStored);
  }

  bySnapshot(snapshot: string): ContainerRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM containers WHERE snapshot = ?`, snapshot).map(fromStored);
  }

  /** Oldest first. */
  list(): ContainerRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM containers ORDER BY created_at, id`).map(fromStored);
  }

  put(row: ContainerRow): void {
    this.#db.run(
      'INSERT INTO containers (id, name, snapshot, image, labels, created_at) VALUES (?, ?, ?, ?, ?, ?)',
      row.id,
      row.name,
      row.snapshot,
      row.image,
      JSON.stringify(row.labels),
      row.createdAt,
    );
  }

  delete(id: string): boolean {
    return this.#db.run('DELETE FROM containers WHERE id = ?', id) > 0;
  }
}
