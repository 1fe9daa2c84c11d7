/**
 * Things on disk that no row vouches for, because a session is making or removing them. Written before the thing
 * appears (or in the transaction that takes its row away), deleted when it is committed (or gone).
 */
import type { Database } from './database.ts';

export type GarbageKind = 'blob' | 'layer' | 'snapshot';

export interface GarbageRow {
  readonly kind: GarbageKind;
  /** A digest, or the driver's id of a layer or snapshot. */
  readonly key: string;
  readonly session: string;
}

export class Garbage {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  list(): GarbageRow[] {
    return this.#db.all<GarbageRow>('SELECT kind, key, session FROM garbage ORDER BY kind, key');
  }

  bySession(session: string): GarbageRow[] {
    return this.#db.all<GarbageRow>('SELECT kind, key, session FROM garbage WHERE session = ?', session);
  }

  put(row: GarbageRow): void {
    this.#db.run(
      'INSERT INTO garbage (kind, key, session) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET session = excluded.session',
      row.kind,
      row.key,
      row.session,
    );
  }

  delete(kind: GarbageKind, key: string): void {
    this.#db.run('DELETE FROM garbage WHERE kind = ? AND key = ?', kind, key);
  }
}
