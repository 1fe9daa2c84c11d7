/** Moves a layer's compressed bytes from the main thread to the one that inflates them. */
import { Cancelled, type Ring } from './ring.ts';
import { RingFiller } from './ring-filler.ts';

/** At the ring's pace. @param stopped settles when nobody reads the ring any more */
export async function feed(
  source: AsyncIterable<Uint8Array>,
  ring: Ring,
  stopped: Promise<void>,
  onBytes: () => void,
): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  const filler = new RingFiller(ring);
  const next = interruptible(() => iterator.next(), stopped);
  // Not awaited: a generator in the middle of a step answers only when that is done.
  const giveUp = (): void => void iterator.return?.()?.catch(() => undefined);
  try {
    for (let step = await next(); step !== undefined; step = await next()) {
      if (step.done) {
        filler.end();
        return;
      }
      const pending = filler.add(step.value);
      if (pending !== undefined) await pending;
      onBytes();
    }
    giveUp();
  } catch (error) {
    ring.cancel();
    giveUp();
    if (!(error instanceof Cancelled)) throw error;
  }
}

/**
 * `call` as long as nothing stopped it: a source may be silent for long, and must not keep an error from being told.
 * No Promise.race: a promise that lives long keeps the result of every race that it lost.
 */
function interruptible<T>(call: () => Promise<T>, stopped: Promise<void>): () => Promise<T | undefined> {
  let isStopped = false;
  let interrupt = () => {};
  stopped.then(() => {
    isStopped = true;
    interrupt();
  });
  return () =>
    new Promise<T | undefined>((resolve, reject) => {
      interrupt = () => resolve(undefined);
      if (isStopped) interrupt();
      else call().then(resolve, reject);
    });
}
