/** The threads that work on one layer: what each of them does, that none waits for one that has stopped, what they found. */
import { abortError } from '../../errors.ts';
import type { Engine } from '../inflate/inflater.ts';
import { type Answer, unpackError } from './job.ts';
import type { LayerTarget, Outcome } from './layer-stage.ts';
import type { Thread } from './pool.ts';
import type { Unpacked } from './request.ts';
import { Ring } from './ring.ts';

const MIDDLE = { slots: 4, size: 512 * 1024 } as const;

export interface Crew {
  /** One thread for all of it, or one that inflates and one that does the rest. */
  readonly threads: readonly Thread[];
  /** Whether the second thread works for other layers, too. */
  readonly shares: boolean;
  /** Whether the first one hashes and keeps the tar. */
  readonly early: boolean;
}

export interface Assignment {
  /** Where the compressed bytes come from. */
  readonly input: Ring;
  readonly target: LayerTarget;
  readonly engine: Engine | undefined;
  /** One 64-bit word: uncompressed bytes so far. */
  readonly progress: SharedArrayBuffer;
}

export interface Work {
  readonly answers: readonly Promise<Answer>[];
  /** Settles when no one reads the input any more; resolved from outside, it stops all threads. */
  readonly stopped: PromiseWithResolvers<void>;
}

export function start({ threads, shares, early }: Crew, { input, target, engine, progress }: Assignment): Work {
  const [first, second] = threads as [Thread, Thread?];
  const rings = [input];
  const answers: Promise<Answer>[] = [];
  if (second === undefined) {
    answers.push(first.run({ role: 'whole', input: input.handle, target, progress, engine }));
  } else {
    const middle = Ring.create(MIDDLE.slots, MIDDLE.size);
    rings.push(middle);
    const bytes = early ? target.bytes : undefined;
    const rest = early ? { ...target, bytes: undefined } : target;
    const role = shares ? 'shared-sink' : 'sink';
    answers.push(first.run({ role: 'inflate', input: input.handle, output: middle.handle, engine, bytes }));
    answers.push(second.run({ role, input: middle.handle, target: rest, progress }));
  }
  const stopped = Promise.withResolvers<void>();
  for (const answer of answers) {
    answer.then(
      ({ ok }) => ok || stopped.resolve(),
      () => stopped.resolve(),
    );
  }
  // Whoever stops takes the others along: they would wait for ever.
  stopped.promise.then(() => {
    for (const ring of rings) ring.cancel();
  });
  return { answers, stopped };
}

/** Waits for all to stop, then tells the one error that was first of its chain; being cancelled is none. */
export async function settle(
  feeding: Promise<void>,
  answers: readonly Promise<Answer>[],
  signal: AbortSignal | undefined,
): Promise<Outcome> {
  const settled = await Promise.allSettled([feeding, ...answers]);
  if (signal?.aborted) throw abortError(signal);
  let outcome: Outcome = {};
  let cancelled: Error | undefined;
  for (const step of settled) {
    if (step.status === 'rejected') throw step.reason;
    if (step.value === undefined) continue;
    if (step.value.ok) outcome = { ...outcome, ...step.value.outcome };
    else if (step.value.error.cancelled) cancelled = unpackError(step.value.error);
    else throw unpackError(step.value.error);
  }
  if (cancelled !== undefined) throw cancelled;
  return outcome;
}

/** What the threads of a layer know together. */
export function allOf({ diffId, tarSize, result, indexed }: Outcome): Unpacked {
  if (diffId === undefined || tarSize === undefined || result === undefined || indexed === undefined) {
    throw new Error('no thread finished the layer');
  }
  return { diffId, tarSize, result, indexed };
}
