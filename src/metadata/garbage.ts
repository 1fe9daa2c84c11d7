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
  /** Of a layer or snapshot: the driver that made it. Absent: the one that is recorded. */
  readonly driver?: string | null;
}

const COLUMNS = 'kind, key, session, driver';

export class Garbage {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  list(): GarbageRow[] {
    return this.#db.all<GarbageRow>(`SELECT ${COLUMNS} FROM garbage ORDER BY kind, key`);
  }

  bySession(session: string): GarbageRow[] {
    return this.#db.all<GarbageRow>(`SELECT ${COLUMNS} FROM garbage WHERE session = ?`, session);
  }

  put({ kind, key, session, driver = null }: GarbageRow): void {
    this.#db.run(
      `INSERT INTO garbage (${COLUMNS}) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET session = excluded.session, driver = excluded.driver`,
      kind,
      key,
      session,
      driver,
    );
  }

  /** What the recorded driver made so far: another one is about to be recorded. */
  nameDriver(driver: string): void {
    this.#db.run("UPDATE garbage SET driver = ? WHERE driver IS NULL AND kind <> 'blob'", driver);
  }

  delete(kind: GarbageKind, key: string): void {
    this.#db.run('DELETE FROM garbage WHERE kind = ? AND key = ?', kind, key);
  }
}
