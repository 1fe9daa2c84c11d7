/** A lock waited for without the event loop: the mounter also runs where nothing may be asynchronous. */
import { TslayerError } from '../errors.ts';
import { type FileLock, tryLock } from '../sys/locks.ts';

const PATIENCE_MS = 60_000;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export function pauseSync(milliseconds: number): void {
  Atomics.wait(sleeper, 0, 0, milliseconds);
}

/** Holders mount or unmount, which takes milliseconds: one that holds on for a minute hangs. */
export function lockSync(path: string): FileLock {
  const end = Date.now() + PATIENCE_MS;
  for (let pause = 1; ; pause = Math.min(pause * 2, 20)) {
    const held = tryLock(path);
    if (held) return held;
    if (Date.now() > end) throw new TslayerError('IN_USE', `the lock ${path} has been held for a minute`);
    pauseSync(pause);
  }
}
