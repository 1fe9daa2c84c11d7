/**
 * Advisory locks between processes: flock(2) on an open file. The kernel releases them when the holder dies,
 * however it dies, so there is no stale lock to wait for.
 */
import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { abortError } from '../errors.ts';
import { check, errnos, lastErrno, native } from './libc.ts';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const cFlock = native('int', 'flock', ['int', 'int']);

export type LockMode = 'shared' | 'exclusive';

/** A held lock; disposing releases it. The file stays, or must be unlinked while the lock is held. */
export class FileLock implements Disposable {
  readonly path: string;
  #fd: number | undefined;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** The open descriptor of the lock file, for content that travels with the lock. */
  get fd(): number {
    if (this.#fd === undefined) throw new Error(`lock ${this.path} is released`);
    return this.#fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** The lock if it is free now, else undefined. `permissions` are those of a new file. */
export function tryLock(path: string, mode: LockMode = 'exclusive', permissions = 0o600): FileLock | undefined {
  for (;;) {
    const fd = openSync(path, 'a+', permissions);
    if (cFlock(fd, (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) {
      // The former holder may have unlinked the file between our open and our lock: then we hold a ghost.
      if (sameFile(fd, path)) return new FileLock(path, fd);
      closeSync(fd);
      continue;
    }
    const errno = lastErrno();
    closeSync(fd);
    if (errno === errnos.EWOULDBLOCK) return undefined;
    if (errno !== errnos.EINTR) check(-1, 'flock', path);
  }
}

function sameFile(fd: number, path: string): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const held = fstatSync(fd);
  return now !== undefined && now.ino === held.ino && now.dev === held.dev;
}

export interface LockOptions {
  readonly mode?: LockMode;
  /** Of a new file. Default 0600. */
  readonly permissions?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called once when the lock is not free at once. */
  readonly onWait?: () => void;
}

/** Waits for the lock. Polls (1 to 50 ms), since a thread blocked in flock(2) could not be interrupted. */
export async function lock(path: string, options: LockOptions = {}): Promise<FileLock> {
  let pause = 1;
  for (let waited = false; ; waited = true) {
    if (options.signal?.aborted) throw abortError(options.signal);
    const held = tryLock(path, options.mode, options.permissions);
    if (held) return held;
    if (!waited) options.onWait?.();
    await delay(pause);
    pause = Math.min(pause * 2, 50);
  }
}
