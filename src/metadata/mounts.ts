/** Rows of mounts that survive the process that made them. */
import type { Database } from './database.ts';

export interface MountRow {
  /** Name of the mount and key of its snapshot. */
  readonly name: string;
  /** Absolute path of the mountpoint. */
  readonly target: string;
  readonly readOnly: boolean;
  /** The image as it was asked for. */
  readonly image: string;
  readonly createdAt: number;
}

const COLUMNS = 'name, target, read_only AS readOnly, image, created_at AS createdAt';

type Stored = Omit<MountRow, 'readOnly'> & { readOnly: number };

function fromStored(row: Stored): MountRow {
  return { ...row, readOnly: row.readOnly === 1 };
}

export class Mounts {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(name: string): MountRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM mounts WHERE name = ?`, name);
    return row && fromStored(row);
  }

  byTarget(target: string): MountRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM mounts WHERE target = ?`, target);
    return row && fromStored(row);
  }

  list(): MountRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM mounts ORDER BY name`).map(fromStored);
  }

  put(row: MountRow): void {
    this.#db.run(
      'INSERT INTO mounts (name, target, read_only, image, created_at) VALUES (?, ?, ?, ?, ?)',
      row.name,
      row.target,
      Number(row.readOnly),
      row.image,
      row.createdAt,
    );
  }

  delete(name: string): boolean {
    return this.#db.run('DELETE FROM mounts WHERE name = ?', name) > 0;
  }
}
