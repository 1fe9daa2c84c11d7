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
import { throwIfAborted } from '../../errors.ts';
import { DetectingInflater } from '../inflate/detecting.ts';
import type { Engine } from '../inflate/inflater.ts';
import { DEFAULT_LIMITS } from '../sink.ts';
import { Spares } from '../spares.ts';
import { allOf, settle, start } from './crew.ts';
import { feed } from './feed.ts';
import { LayerStage, type LayerTarget, type Outcome } from './layer-stage.ts';
import { ThreadPool } from './pool.ts';
import type { Unpacked, UnpackRequest } from './request.ts';
import { Ring } from './ring.ts';

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
      const crew = { threads: [...threads, ...shared], shares, early: shares && !isLarge };
      const { answers, stopped } = start(crew, { input, target, engine: this.#engine, progress });
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
