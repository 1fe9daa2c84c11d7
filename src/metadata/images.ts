/** Image names: what a name stands for, and when it was used. */
import type { ChainID, Digest } from '../oci/digest.ts';
import type { Database } from './database.ts';

export interface ImageRow {
  /** Canonical text: `docker.io/library/alpine:3.20`, or with a digest when it was pulled by digest only. */
  readonly name: string;
  /** What the name stands for: an index or a manifest. */
  readonly target: Digest;
  /** The manifest for the platform; equal to `target` without an index. */
  readonly manifest: Digest;
  readonly config: Digest;
  /** `linux/amd64`; empty when the config is none of an image. */
  readonly platform: string;
  /** The whole stack; null without layers. */
  readonly chainId: ChainID | null;
  /** Whether the stack is there as a committed snapshot. */
  readonly unpacked: boolean;
  /** Whether all platforms of the index are kept. */
  readonly allPlatforms: boolean;
  /** Where it came from: `https://registry-1.docker.io`, `oci:/dir`, `commit NAME`. */
  readonly source: string;
  /** The config's own date, milliseconds; null when it has none. */
  readonly createdAt: number | null;
  readonly pulledAt: number;
  readonly usedAt: number;
}

const COLUMNS = `name, target, manifest, config, platform, chain_id AS chainId, unpacked,
  all_platforms AS allPlatforms, source, created_at AS createdAt, pulled_at AS pulledAt, used_at AS usedAt`;

type Stored = Omit<ImageRow, 'unpacked' | 'allPlatforms'> & { unpacked: number; allPlatforms: number };

function fromStored(row: Stored): ImageRow {
  return { ...row, unpacked: row.unpacked === 1, allPlatforms: row.allPlatforms === 1 };
}

export class Images {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(name: string): ImageRow | undefined {
    const row = this.#db.get<Stored>(`SELECT ${COLUMNS} FROM images WHERE name = ?`, name);
    return row && fromStored(row);
  }

  /** All of them by name. */
  list(): ImageRow[] {
    return this.#db.all<Stored>(`SELECT ${COLUMNS} FROM images ORDER BY name`).map(fromStored);
  }

  /** Those whose target, manifest or config is this digest. */
  byDigest(digest: Digest): ImageRow[] {
    const sql = `SELECT ${COLUMNS} FROM images WHERE target = ? OR manifest = ? OR config = ? ORDER BY name`;
    return this.#db.all<Stored>(sql, digest, digest, digest).map(fromStored);
  }

  /** Those whose config or target digest begins so; `prefix` has the algorithm in front: `sha256:4fe1`. */
  byPrefix(prefix: string): ImageRow[] {
    // The character after the last hex digit bounds the range, so that the indexes are used.
    const end = `${prefix}g`;
    const sql = `SELECT ${COLUMNS} FROM images WHERE (config >= ? AND config < ?) OR (target >= ? AND target < ?)
      OR (manifest >= ? AND manifest < ?) ORDER BY name`;
    return this.#db.all<Stored>(sql, prefix, end, prefix, end, prefix, end).map(fromStored);
  }

  byChain(chainId: ChainID): ImageRow[] {
    return this.#db
      .all<Stored>(`SELECT ${COLUMNS} FROM images WHERE chain_id = ? ORDER BY name`, chainId)
      .map(fromStored);
  }

  /**
   * Some of the names that begin with `prefix` and whose manifest names `blob`, for those who look for a place that
   * has it; none of the repository `except`.
   */
  namesWith(blob: Digest, prefix: string, except: string): string[] {
    const sql = `SELECT i.name FROM refs r JOIN images i ON i.manifest = r.parent
      WHERE r.child = ? AND i.name >= ? AND i.name < ? AND NOT (i.name >= ? AND i.name < ?) LIMIT 32`;
    // What follows a repository in a name is a colon or an at sign, and those are neighbours of digits and letters.
    const bounds = [prefix, `${prefix}\u{10ffff}`, `${except}:`, `${except}A`];
    return this.#db.all<{ name: string }>(sql, blob, ...bounds).map((row) => row.name);
  }

  /** Adds the name, or moves it. */
  put(row: ImageRow): void {
    this.#db.run(
      `INSERT INTO images (name, target, manifest, config, platform, chain_id, unpacked, all_platforms, source,
         created_at, pulled_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET target = excluded.target, manifest = excluded.manifest, config = excluded.config,
         platform = excluded.platform, chain_id = excluded.chain_id, unpacked = excluded.unpacked,
         all_platforms = excluded.all_platforms, source = excluded.source, created_at = excluded.created_at,
         pulled_at = excluded.pulled_at, used_at = excluded.used_at`,
      row.name,
      row.target,
      row.manifest,
      row.config,
      row.platform,
      row.chainId,
      Number(row.unpacked),
      Number(row.allPlatforms),
      row.source,
      row.createdAt,
      row.pulledAt,
      row.usedAt,
    );
  }

  /** Says that the stack is (or no longer is) there, for every name of it. */
  setUnpacked(manifest: Digest, unpacked: boolean): void {
    this.#db.run('UPDATE images SET unpacked = ? WHERE manifest = ?', Number(unpacked), manifest);
  }

  touch(name: string, usedAt: number): void {
    this.#db.run('UPDATE images SET used_at = ? WHERE name = ?', usedAt, name);
  }

  delete(name: string): boolean {
    return this.#db.run('DELETE FROM images WHERE name = ?', name) > 0;
  }
}
