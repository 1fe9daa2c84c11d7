/**
 * Unpacks layers: bytes of a blob in, a driver's layer out, everything checked on the way. Chooses the threads:
 *
 *   small         main thread:   source → inflate → sha256, entries, sink   (a worker's start would cost more)
 *   several       a worker each: source ⇒ inflate → sha256, entries, sink   (⇒ is a ring in shared memory)
 *   a large one   two workers:   source ⇒ inflate ⇒ sha256, entries, sink
 *
 * and, where the driver keeps tars, so that there is no file to make for an entry:
 *
 *   several       a worker each: source ⇒ inflate → sha256, tar file ⇒  one worker for all: entries, sink
 *   a large one   the same:      source ⇒ inflate ⇒                     sha256, tar file, entries, sink
 *
 * What is done for entries is all of this program's code that is hot: V8 compiles it for one thread instead of three.
 *
 * A layer is a large one when it alone is more than a core's share of what there is to do: on one thread it would go
 * on when the other cores are done. The main thread only moves compressed bytes, which it hashes and stores
 * meanwhile. Whoever is ahead waits.
 */
import { availableParallelism } from 'node:os';
import { abortError, throwIfAborted } from '../../errors.ts';
import { DetectingInflater } from '../inflate/detecting.ts';
import type { Engine } from '../inflate/inflater.ts';
import { DEFAULT_LIMITS } from '../sink.ts';
import { Spares } from '../spares.ts';
import { type Answer, unpackError } from './job.ts';
import { LayerStage, type LayerTarget, type Outcome } from './layer-stage.ts';
import { type Thread, ThreadPool } from './pool.ts';
import type { Unpacked, UnpackRequest } from './request.ts';
import { Cancelled, Ring } from './ring.ts';
import { RingFiller } from './ring-filler.ts';

export interface UnpackerOptions {
  /** Worker threads at most. Default: one more than cores, up to four; each takes some 18 MB. */
  readonly threads?: number;
  /** How zlib is driven; chosen by a probe when absent. */
  readonly engine?: Engine;
  /** Compressed bytes up to which a layer is unpacked on the main thread. Default 5 MiB. */
  readonly inlineLimit?: number;
  /** Compressed bytes from which a layer may take two threads. Default 16 MiB. */
  readonly splitLimit?: number;
}

const MIB = 1024 ** 2;
/** What is inflated on the main thread goes through these. */
const ROOMS: Spares<Uint8Array> = new Spares(() => new Uint8Array(256 * 1024));
const INPUT = { slots: 8, size: 128 * 1024 } as const;
const OUTPUT = { slots: 4, size: 512 * 1024 } as const;

/** Keeps its threads until it is disposed. */
export class Unpacker implements AsyncDisposable {
  readonly #cores: number = availableParallelism();
  readonly #pool: ThreadPool;
  readonly #engine: Engine | undefined;
  readonly #inlineLimit: number;
  readonly #splitLimit: number;
  /** Sizes of layers for workers: those announced by `warm` that have not come yet, and those being unpacked. */
  readonly #expected: number[] = [];
  readonly #running: number[] = [];

  constructor(options: UnpackerOptions = {}) {
    this.#pool = new ThreadPool(options.threads ?? Math.min(4, this.#cores + 1));
    this.#engine = options.engine;
    this.#inlineLimit = options.inlineLimit ?? 5 * MIB;
    this.#splitLimit = options.splitLimit ?? 16 * MIB;
  }

  /** Tells of layers to come, of so many compressed bytes each, so that threads start while they are fetched. */
  warm(sizes: readonly number[]): void {
    const large = sizes.filter((size) => size > this.#inlineLimit);
    this.#expected.push(...large);
    if (large.length > 0) this.#pool.warm(large.length + (large.some((size) => this.#isLarge(size)) ? 1 : 0));
  }

  /** @param size of a layer that is expected or running */
  #isLarge(size: number): boolean {
    const total = [...this.#expected, ...this.#running].reduce((sum, bytes) => sum + bytes, 0);
    return size >= this.#splitLimit && size > total / this.#cores;
  }

  /**
   * Unpacks one layer. Rejects with what the source threw, or MALFORMED, UNSAFE_LAYER, LIMIT_EXCEEDED, UNSUPPORTED,
   * NO_SPACE, ABORTED; by then nothing runs any more and the sink is closed.
   */
  async unpack(request: UnpackRequest): Promise<Unpacked> {
    throwIfAborted(request.signal);
    const { sink, indexPath, limits = DEFAULT_LIMITS, algorithm = 'sha256' } = request;
    const target = { bytes: { algorithm, place: sink.tar }, entries: { sink, limits, indexPath } };
    const here = request.size <= this.#inlineLimit && !sink.ownThread;
    return allOf(await (here ? this.#unpackHere(request, target) : this.#unpackThere(request, target)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  async #unpackHere(request: UnpackRequest, target: LayerTarget): Promise<Outcome> {
    const stage = await LayerStage.open(target);
    const room = ROOMS.take();
    const outlet = { room: () => room, flush: (length: number) => stage.write(room.subarray(0, length)) };
    const inflater = new DetectingInflater(outlet, this.#engine);
    try {
      for await (const chunk of request.source) {
        throwIfAborted(request.signal);
        const pending = inflater.write(chunk);
        if (pending !== undefined) await pending;
        request.onBytes?.(stage.size);
      }
      throwIfAborted(request.signal);
      await inflater.end();
      const outcome = stage.finish();
      request.onBytes?.(stage.size);
      return outcome;
    } finally {
      inflater.close();
      stage.close();
      // Nobody writes into it any more.
      ROOMS.giveBack(room);
    }
  }

  async #unpackThere(request: UnpackRequest, target: LayerTarget): Promise<Outcome> {
    takeOut(this.#expected, request.size);
    this.#running.push(request.size);
    const isLarge = this.#isLarge(request.size);
    const shares = request.sink.tar !== undefined && this.#pool.canShare;
    const shared = shares ? [this.#pool.shared()] : [];
    const threads = await this.#pool.acquire(isLarge && !shares ? 2 : 1);
    try {
      throwIfAborted(request.signal);
      const input = Ring.create(INPUT.slots, INPUT.size);
      const progress = new SharedArrayBuffer(8);
      const shape = { crew: [...threads, ...shared], shares, early: shares && !isLarge };
      const { answers, stopped } = this.#start(shape, input, target, progress);
      const counter = new BigInt64Array(progress);
      const onBytes = () => request.onBytes?.(Number(Atomics.load(counter, 0)));
      using _watch = onAbort(request.signal, () => stopped.resolve());
      const feeding = feed(request.source, input, stopped.promise, onBytes);
      const outcome = await settle(feeding, answers, request.signal);
      request.onBytes?.(Number(Atomics.load(counter, 0)));
      return outcome;
    } finally {
      takeOut(this.#running, request.size);
      this.#pool.release(threads);
    }
  }

  /** `stopped` settles when no one reads the input any more; resolving it from outside stops all threads. */
  #start({ crew, shares, early }: Shape, input: Ring, target: LayerTarget, progress: SharedArrayBuffer) {
    const [first, second] = crew as [Thread, Thread?];
    const engine = this.#engine;
    const rings = [input];
    const answers: Promise<Answer>[] = [];
    if (second === undefined) {
      answers.push(first.run({ role: 'whole', input: input.handle, target, progress, engine }));
    } else {
      const middle = Ring.create(OUTPUT.slots, OUTPUT.size);
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
}

/** Who works on a layer. */
interface Shape {
  /** One thread for all of it, or one that inflates and one that does the rest. */
  readonly crew: readonly Thread[];
  /** Whether the second thread works for other layers, too. */
  readonly shares: boolean;
  /** Whether the first one hashes and keeps the tar. */
  readonly early: boolean;
}

function allOf({ diffId, tarSize, result, indexed }: Outcome): Unpacked {
  if (diffId === undefined || tarSize === undefined || result === undefined || indexed === undefined) {
    throw new Error('no thread finished the layer');
  }
  return { diffId, tarSize, result, indexed };
}

function takeOut(sizes: number[], size: number): void {
  const at = sizes.indexOf(size);
  if (at >= 0) sizes.splice(at, 1);
}

function onAbort(signal: AbortSignal | undefined, action: () => void): Disposable {
  signal?.addEventListener('abort', action);
  if (signal?.aborted) action();
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', action) };
}

/** Moves the source into the ring, at the ring's pace. @param stopped settles when nobody reads the ring any more */
async function feed(source: AsyncIterable<Uint8Array>, ring: Ring, stopped: Promise<void>, onBytes: () => void) {
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

/** Waits for all to stop, then tells the one error that was first of its chain; being cancelled is none. */
async function settle(feeding: Promise<void>, answers: Promise<Answer>[], signal?: AbortSignal): Promise<Outcome> {
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
