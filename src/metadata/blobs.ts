/** Rows of stored blobs, the references between them, and which tar a layer blob holds. */
import type { DiffID, Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

export type BlobKind = 'index' | 'manifest' | 'config' | 'layer' | 'other';

export interface BlobRow {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly kind: BlobKind;
  readonly mediaType: string;
  readonly addedAt: number;
}

/** `parent` names `child` at `position`: a manifest its config (0) and layers (from 1, base first), an index its manifests. */
export interface RefRow {
  readonly parent: Digest;
  readonly position: number;
  readonly child: Digest;
  readonly size: number;
}

export interface BlobDiff {
  readonly digest: Digest;
  readonly diffId: DiffID;
  /** Bytes of the uncompressed tar. */
  readonly tarSize: number;
}

const COLUMNS = 'digest, size, kind, media_type AS mediaType, added_at AS addedAt';
const DIFF_COLUMNS = 'digest, diff_id AS diffId, tar_size AS tarSize';

export class Blobs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(digest: Digest): BlobRow | undefined {
    return this.#db.get<BlobRow>(`SELECT ${COLUMNS} FROM blobs WHERE digest = ?`, digest);
  }

  has(digest: Digest): boolean {
    return this.#db.get('SELECT 1 FROM blobs WHERE digest = ?', digest) !== undefined;
  }

  list(): BlobRow[] {
    return this.#db.all<BlobRow>(`SELECT ${COLUMNS} FROM blobs ORDER BY digest`);
  }

  /** Idempotent: content has one size for ever. What is known as `other` may become something better. */
  put(row: BlobRow): void {
    this.#db.run(
      `INSERT INTO blobs (digest, size, kind, media_type, added_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET kind = excluded.kind, media_type = excluded.media_type WHERE kind = 'other'`,
      row.digest,
      row.size,
      row.kind,
      row.mediaType,
      row.addedAt,
    );
  }

  delete(digest: Digest): boolean {
    return this.#db.run('DELETE FROM blobs WHERE digest = ?', digest) > 0;
  }

  /** What `parent` names, in its order. */
  refs(parent: Digest): RefRow[] {
    return this.#db.all<RefRow>(
      'SELECT parent, position, child, size FROM refs WHERE parent = ? ORDER BY position',
      parent,
    );
  }

  /** Whether `parent` names blobs that are not stored. */
  lacksRefs(parent: Digest): boolean {
    const sql = 'SELECT 1 FROM refs r WHERE parent = ? AND NOT EXISTS (SELECT 1 FROM blobs WHERE digest = r.child)';
    return this.#db.get(sql, parent) !== undefined;
  }

  allRefs(): RefRow[] {
    return this.#db.all<RefRow>('SELECT parent, position, child, size FROM refs ORDER BY parent, position');
  }

  /** Stored indexes and manifests that name `child`. */
  parents(child: Digest): Digest[] {
    return this.#db
      .all<{ parent: Digest }>('SELECT DISTINCT parent FROM refs WHERE child = ?', child)
      .map((row) => row.parent);
  }

  putRefs(parent: Digest, children: readonly { readonly digest: Digest; readonly size: number }[]): void {
    children.forEach((child, position) => {
      this.#db.run(
        'INSERT INTO refs (parent, position, child, size) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
        parent,
        position,
        child.digest,
        child.size,
      );
    });
  }

  diffOf(digest: Digest): BlobDiff | undefined {
    return this.#db.get<BlobDiff>(`SELECT ${DIFF_COLUMNS} FROM blob_diffs WHERE digest = ?`, digest);
  }

  /** Blobs that were seen to hold this tar, in any compression. */
  blobsOf(diffId: DiffID): BlobDiff[] {
    return this.#db.all<BlobDiff>(`SELECT ${DIFF_COLUMNS} FROM blob_diffs WHERE diff_id = ? ORDER BY digest`, diffId);
  }

  putDiff(row: BlobDiff): void {
    this.#db.run(
      'INSERT INTO blob_diffs (digest, diff_id, tar_size) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
      row.digest,
      row.diffId,
      row.tarSize,
    );
  }
}
