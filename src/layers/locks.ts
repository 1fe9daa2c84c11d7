/** Locks between processes that leave no file behind. See sys/locks.ts for what they stand on. */
import { rmSync } from 'node:fs';
import type { LockOptions } from '../sys/locks.ts';

/** Waits for the lock file at `path`; disposing removes and releases it. */
export async function holdLock(path: string, options: LockOptions = {}): Promise<Disposable> {
  const { lock } = await import('../sys/locks.ts');
  const held = await lock(path, options);
  return {
    [Symbol.dispose]() {
      // Removed while held: a waiter sees that it locked a ghost and opens the name anew.
      if (options.mode !== 'shared') rmSync(path, { force: true });
      held[Symbol.dispose]();
    },
  };
}
