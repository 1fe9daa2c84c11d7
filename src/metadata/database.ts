/**
 * One SQLite connection: opened cheaply, migrated, with statements prepared when first used. Everything is
 * synchronous; a transaction is a function that cannot await.
 *
 * Commits survive a kill at once and a power loss when `durable` was asked for: WAL is synced then, and with it all
 * commits before. What only leads up to a durable commit need not pay for a sync of its own.
 */
import Sqlite from 'better-sqlite3';
import { type ErrorCode, TslayerError } from '../errors.ts';
import { APPLICATION_ID, MIGRATIONS } from './schema.ts';

export type Parameter = string | number | bigint | null;

/** How long a writer waits for another process's transaction, milliseconds. Transactions take a few. */
const BUSY_TIMEOUT_MS = 30_000;

const MAPPED_BYTES = 2 ** 30;

export interface DatabaseOptions {
  /** False: nothing is ever synced (`store.durability = none`). Default true. */
  readonly durable?: boolean;
  /** Default true; false throws NOT_FOUND when there is no database. */
  readonly create?: boolean;
}

export class Database implements Disposable {
  readonly path: string;
  readonly #sqlite: Sqlite.Database;
  readonly #statements = new Map<string, Sqlite.Statement>();
  readonly #durable: boolean;
  #isMapped = false;

  constructor(path: string, options: DatabaseOptions = {}) {
    this.path = path;
    this.#durable = options.durable ?? true;
    this.#sqlite = guard(`cannot open ${path}`, () => {
      const sqlite = new Sqlite(path, { timeout: BUSY_TIMEOUT_MS, fileMustExist: options.create === false });
      try {
        sqlite.pragma('foreign_keys = ON');
        sqlite.pragma(`synchronous = ${this.#durable ? 'NORMAL' : 'OFF'}`);
        migrate(sqlite, path);
      } catch (error) {
        sqlite.close();
        throw error;
      }
      return sqlite;
    });
  }

  get<Row>(sql: string, ...parameters: Parameter[]): Row | undefined {
    return guard('metadata', () => this.#statement(sql).get(...parameters) as Row | undefined);
  }

  all<Row>(sql: string, ...parameters: Parameter[]): Row[] {
    return guard('metadata', () => this.#statement(sql).all(...parameters) as Row[]);
  }

  /** Rows as arrays of their columns: half the work of objects, for what reads whole tables. */
  columns<Row extends readonly unknown[]>(sql: string): Row[] {
    this.#mapFile();
    return guard('metadata', () => this.#sqlite.prepare(sql).raw().all() as Row[]);
  }

  /**
   * How many rows `sql` selects, and each of its columns as one text with a blank behind each value, for what reads
   * whole tables: SQLite puts the texts together at a fraction of what as many values cost. No value may be null or hold
   * a blank. See KeyList and numbersIn, which read them.
   */
  texts<const Names extends readonly string[]>(
    names: Names,
    sql: string,
  ): readonly [rows: number, ...texts: { readonly [name in keyof Names]: Buffer }] {
    const texts = names.map((name) => `CAST(ifnull(group_concat(${name}, ' ') || ' ', '') AS BLOB)`).join(', ');
    const [row] = this.columns<readonly [number, ...{ readonly [name in keyof Names]: Buffer }]>(
      `SELECT count(*), ${texts} FROM (${sql})`,
    );
    return row as NonNullable<typeof row>;
  }

  /** Executes one statement; rows changed. */
  run(sql: string, ...parameters: Parameter[]): number {
    return guard('metadata', () => this.#statement(sql).run(...parameters).changes);
  }

  /**
   * Runs `work` as one write transaction; inside another it joins that one. Throwing rolls back.
   * @param durable the commit outlives a power loss
   */
  transaction<T>(work: () => T, options: { readonly durable?: boolean } = {}): T {
    if (this.#sqlite.inTransaction) return work();
    const sync = options.durable === true && this.#durable;
    return guard('metadata', () => {
      if (sync) this.#sqlite.pragma('synchronous = FULL');
      try {
        this.#sqlite.exec('BEGIN IMMEDIATE');
        return this.#finish(work);
      } finally {
        if (sync) this.#sqlite.pragma('synchronous = NORMAL');
      }
    });
  }

  /** Runs `work` as a transaction and takes all of it back: what would happen, told by what happens. */
  preview<T>(work: () => T): T {
    return guard('metadata', () => {
      this.#sqlite.exec('BEGIN IMMEDIATE');
      try {
        return work();
      } finally {
        if (this.#sqlite.inTransaction) this.#sqlite.exec('ROLLBACK');
      }
    });
  }

  /** Runs `work` on one consistent state, without keeping writers out. */
  snapshot<T>(work: () => T): T {
    if (this.#sqlite.inTransaction) return work();
    return guard('metadata', () => {
      this.#sqlite.exec('BEGIN');
      return this.#finish(work);
    });
  }

  /** SQLite's own check of the file; problems, none when it is sound. Reads everything. */
  check(): string[] {
    const rows = guard('metadata', () => this.#sqlite.pragma('integrity_check(20)') as { integrity_check: string }[]);
    const broken = this.all<{ table: string; parent: string }>(
      'SELECT DISTINCT "table", parent FROM pragma_foreign_key_check',
    );
    return [
      ...rows.map((row) => row.integrity_check).filter((text) => text !== 'ok'),
      ...broken.map((row) => `rows of ${row.table} name ${row.parent} that are not there`),
    ];
  }

  close(): void {
    this.#sqlite.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #finish<T>(work: () => T): T {
    try {
      const result = work();
      if (result instanceof Promise) throw new Error('a transaction may not await');
      this.#sqlite.exec('COMMIT');
      return result;
    } catch (error) {
      // SQLite rolls back by itself when the disk is full; then there is nothing left to undo.
      if (this.#sqlite.inTransaction) this.#sqlite.exec('ROLLBACK');
      throw error;
    }
  }

  /** For reading much of the file: without a system call and a copy for each page. What is written is so as before. */
  #mapFile(): void {
    if (this.#isMapped) return;
    this.#isMapped = true;
    this.#sqlite.pragma(`mmap_size = ${MAPPED_BYTES}`);
  }

  #statement(sql: string): Sqlite.Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#sqlite.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function versionOf(sqlite: Sqlite.Database): number {
  return sqlite.pragma('user_version', { simple: true }) as number;
}

function migrate(sqlite: Sqlite.Database, path: string): void {
  let version = versionOf(sqlite);
  if (version === MIGRATIONS.length) return;
  if (version > MIGRATIONS.length) {
    throw new TslayerError('UNSUPPORTED', `${path} has version ${version}, this program knows ${MIGRATIONS.length}`, {
      hint: 'a newer tslayer wrote it: use that one',
    });
  }
  if (version === 0) sqlite.pragma('journal_mode = WAL');
  sqlite.exec('BEGIN IMMEDIATE');
  try {
    // Another process may have migrated while this one waited.
    for (version = versionOf(sqlite); version < MIGRATIONS.length; version++) {
      sqlite.exec(MIGRATIONS[version] as string);
      sqlite.pragma(`user_version = ${version + 1}`);
    }
    sqlite.pragma(`application_id = ${APPLICATION_ID}`);
    sqlite.exec('COMMIT');
  } catch (error) {
    if (sqlite.inTransaction) sqlite.exec('ROLLBACK');
    throw error;
  }
}

const CODE_OF_SQLITE: readonly (readonly [prefix: string, code: ErrorCode])[] = [
  ['SQLITE_FULL', 'NO_SPACE'],
  // The file that readers share cannot grow.
  ['SQLITE_IOERR_SHMSIZE', 'NO_SPACE'],
  ['SQLITE_BUSY', 'IN_USE'],
  ['SQLITE_READONLY', 'DENIED'],
  ['SQLITE_PERM', 'DENIED'],
  ['SQLITE_AUTH', 'DENIED'],
  ['SQLITE_CORRUPT', 'MALFORMED'],
  ['SQLITE_NOTADB', 'MALFORMED'],
];

/** Runs SQLite and gives its errors our codes; those of constraints stay, they are mistakes of this program. */
function guard<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof Sqlite.SqliteError)) throw error;
    const code = CODE_OF_SQLITE.find(([prefix]) => error.code.startsWith(prefix))?.[1] ?? 'FAILED';
    throw new TslayerError(code, `${doing}: ${error.message} (${error.code})`, { cause: error });
  }
}
