/**
 * Long synchronous work in slices. Walking and copying by direct system calls is several times faster than through
 * the thread pool, but must not hold up the downloads and signals of the same process.
 */
import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '../../src/errors.ts';

const SLICE_MS = 8;

/** Runs the generator to its end, giving way to the event loop every few milliseconds; returns what it returns. */
export async function inSlices<T>(work: Generator<unknown, T>, signal?: AbortSignal): Promise<T> {
  let start = performance.now();
  try {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      if (performance.now() - start < SLICE_MS) continue;
      await setImmediate();
      throwIfAborted(signal);
      start = performance.now();
    }
  } finally {
    work.return(undefined as never);
  }
}

/** The values of a synchronous generator, giving way in the same manner. */
export async function* valuesInSlices<T>(work: Generator<T, void>): AsyncGenerator<T, void> {
  let start = performance.now();
  for (const value of work) {
    yield value;
    if (performance.now() - start < SLICE_MS) continue;
    await setImmediate();
    start = performance.now();
  }
}
