/**
 * A session stands for one open store of one process: the file sessions/ID, locked with flock(2) for as long as the
 * process lives. Rows name the session that works on something; when its lock is free, whoever finds the rows knows
 * that nobody works on it any more. Process ids are reused, locks are not.
 */
import { readdirSync, rmSync } from 'node:fs';
import type { StorePaths } from '../store-layout.ts';
import type { FileLock } from '../sys/locks.ts';
import { randomHex } from '../sys/random.ts';

export class Session implements Disposable {
  readonly #paths: StorePaths;
  #opened: { readonly id: string; readonly lock: FileLock } | undefined;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** The id, once the session is open. Only then may rows name it. */
  async open(): Promise<string> {
    if (this.#opened !== undefined) return this.#opened.id;
    const { tryLock } = await import('../sys/locks.ts');
    while (this.#opened === undefined) {
      const id = `${process.pid.toString(36)}-${randomHex(6)}`;
      const lock = tryLock(sessionPath(this.#paths, id));
      if (lock !== undefined) this.#opened = { id, lock };
    }
    return this.#opened.id;
  }

  /** The id if the session was opened. */
  get openId(): string | undefined {
    return this.#opened?.id;
  }

  /** Ends the session. With rows left that name it, its file stays for a later sweep to find. */
  close(options: { readonly rowsLeft: boolean }): void {
    if (this.#opened === undefined) return;
    const { lock } = this.#opened;
    if (!options.rowsLeft) rmSync(lock.path, { force: true });
    lock[Symbol.dispose]();
    this.#opened = undefined;
  }

  [Symbol.dispose](): void {
    this.close({ rowsLeft: true });
  }
}

/** Sessions that have a file, living and dead. */
export function listSessions(paths: StorePaths): string[] {
  return readdirSync(paths.sessions);
}

/** Takes over a session that is dead; undefined while it lives. Whoever takes it over removes its file at the end. */
export async function takeSession(paths: StorePaths, id: string): Promise<FileLock | undefined> {
  const { tryLock } = await import('../sys/locks.ts');
  return tryLock(sessionPath(paths, id));
}

function sessionPath(paths: StorePaths, id: string): string {
  return `${paths.sessions}/${id}`;
}
