/**
 * Leases hold content that no name holds yet: while their session lives, and until they expire. A lease with
 * neither is a pin. Whoever wants to rely on content that is there leases it first and looks afterwards: a
 * collector deletes rows only in a transaction that sees all leases.
 */
import type { Database } from './database.ts';

export type LeaseKind = 'blob' | 'layer' | 'snapshot';

export interface LeaseRow {
  readonly id: string;
  /** The process's session; null when it outlives processes. */
  readonly session: string | null;
  /** What for, in words: `pull docker.io/library/alpine:3.20`. */
  readonly purpose: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
}

export interface LeaseRef {
  readonly kind: LeaseKind;
  /** A digest, a layer's key, a snapshot's key. */
  readonly key: string;
}

const COLUMNS = 'id, session, purpose, created_at AS createdAt, expires_at AS expiresAt';

export class Leases {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(id: string): LeaseRow | undefined {
    return this.#db.get<LeaseRow>(`SELECT ${COLUMNS} FROM leases WHERE id = ?`, id);
  }

  list(): LeaseRow[] {
    return this.#db.all<LeaseRow>(`SELECT ${COLUMNS} FROM leases ORDER BY created_at, id`);
  }

  bySession(session: string): LeaseRow[] {
    return this.#db.all<LeaseRow>(`SELECT ${COLUMNS} FROM leases WHERE session = ?`, session);
  }

  /** Leases that only time ends, and that time has ended. */
  expired(now: number): LeaseRow[] {
    return this.#db.all<LeaseRow>(`SELECT ${COLUMNS} FROM leases WHERE session IS NULL AND expires_at <= ?`, now);
  }

  put(row: LeaseRow): void {
    this.#db.run(
      `INSERT INTO leases (id, session, purpose, created_at, expires_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET session = excluded.session, expires_at = excluded.expires_at`,
      row.id,
      row.session,
      row.purpose,
      row.createdAt,
      row.expiresAt,
    );
  }

  delete(id: string): boolean {
    return this.#db.run('DELETE FROM leases WHERE id = ?', id) > 0;
  }

  /** Ends what interrupted operations for this purpose left to be gone on with. */
  deleteInterrupted(purpose: string): void {
    this.#db.run('DELETE FROM leases WHERE session IS NULL AND expires_at IS NOT NULL AND purpose = ?', purpose);
  }

  refs(lease: string): LeaseRef[] {
    return this.#db.all<LeaseRef>('SELECT kind, key FROM lease_refs WHERE lease = ? ORDER BY kind, key', lease);
  }

  /** Everything leased, with its lease. */
  allRefs(): (LeaseRef & { readonly lease: string })[] {
    return this.#db.all('SELECT lease, kind, key FROM lease_refs');
  }

  /** Whether any lease, dead ones not yet swept included, holds it. */
  holds(kind: LeaseKind, key: string): boolean {
    return this.#db.get('SELECT 1 FROM lease_refs WHERE kind = ? AND key = ?', kind, key) !== undefined;
  }

  addRefs(lease: string, refs: Iterable<LeaseRef>): void {
    for (const { kind, key } of refs) {
      this.#db.run(
        'INSERT INTO lease_refs (lease, kind, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
        lease,
        kind,
        key,
      );
    }
  }
}
