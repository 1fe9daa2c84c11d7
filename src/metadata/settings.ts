/** Settings of the store itself (its driver), and counters: short ids, generations of names. */
import type { Database } from './database.ts';

export type SettingName = 'driver' | 'stacking';
/** `ids`: the last short id. `images`: changes of names so far. `layout`: the change that index.json shows. */
export type CounterName = 'ids' | 'images' | 'layout';

export class Settings {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get(name: SettingName): string | undefined {
    return this.#db.get<{ value: string }>('SELECT value FROM settings WHERE name = ?', name)?.value;
  }

  set(name: SettingName, value: string): void {
    this.#db.run(
      'INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
      name,
      value,
    );
  }

  delete(name: SettingName): void {
    this.#db.run('DELETE FROM settings WHERE name = ?', name);
  }

  /** Sets what is not set yet; the value that holds. */
  setOnce(name: SettingName, value: string): string {
    return this.#db.transaction(() => {
      this.#db.run('INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', name, value);
      return this.get(name) ?? value;
    });
  }

  counter(name: CounterName): number {
    return this.#db.get<{ value: number }>('SELECT value FROM counters WHERE name = ?', name)?.value ?? 0;
  }

  setCounter(name: CounterName, value: number): void {
    this.#db.run(
      'INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
      name,
      value,
    );
  }

  /** Counts up by one; the new value. */
  count(name: CounterName): number {
    const row = this.#db.get<{ value: number }>(
      'INSERT INTO counters (name, value) VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value',
      name,
    );
    return row?.value ?? 0;
  }

  /**
   * Short ids for the driver, never given out before. Reserved durably and so in blocks: after a power loss that
   * took the last rows, a layer that reached the disk would else meet a new one of its name. The first ids come from
   * the clock, so that those of a store whose database was lost are not given out again.
   */
  reserveIds(count: number): string[] {
    const row = this.#db.transaction(
      () =>
        this.#db.get<{ value: number }>(
          `INSERT INTO counters (name, value) VALUES ('ids', ?)
           ON CONFLICT DO UPDATE SET value = value + ? RETURNING value`,
          Math.floor(Date.now() / 1000),
          count,
        ),
      { durable: true },
    );
    const last = row?.value ?? 0;
    return Array.from({ length: count }, (_, i) => (last - count + 1 + i).toString(36));
  }
}
