/** Worker threads, started when they are first needed and kept for the next layer. */
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TslayerError } from '../../errors.ts';
import { moduleUrl } from '../../sys/module-url.ts';
import type { Answer, Job, Numbered } from './job.ts';

/** Small young generations: a worker makes little garbage, and none that lives. */
const LIMITS = { maxYoungGenerationSizeMb: 8 };

/** Where compiled code is kept, as it was given to enableCompileCache: Node adds its version. */
function compileCache(): string | undefined {
  const directory = getCompileCacheDir();
  return directory && dirname(directory);
}

export class Thread {
  readonly #worker: Worker;
  readonly #running: Map<number, PromiseWithResolvers<Answer>> = new Map();
  #jobs = 0;
  /** Set when the thread is gone. */
  dead: Error | undefined;

  constructor() {
    // Without the flags that the process was started with: some of them fit a main program only.
    this.#worker = new Worker(moduleUrl('./worker', import.meta.url), {
      resourceLimits: LIMITS,
      execArgv: [],
      workerData: { compileCache: compileCache() },
    });
    this.#worker.unref();
    this.#worker.on('message', ({ id, value }: Numbered<Answer>) => {
      this.#running.get(id)?.resolve(value);
      this.#running.delete(id);
      if (this.#running.size === 0) this.#worker.unref();
    });
    this.#worker.on('error', (error) => this.#die(error));
    this.#worker.on('exit', (code) => this.#die(new Error(`the worker ended with ${code}`)));
  }

  /** One job at a time, except for those that share a thread. Rejects only when the thread itself breaks. */
  run(job: Job): Promise<Answer> {
    if (this.dead) return Promise.reject(this.dead);
    const id = this.#jobs++;
    const settle = Promise.withResolvers<Answer>();
    this.#running.set(id, settle);
    // While it works, the process waits for it.
    this.#worker.ref();
    this.#worker.postMessage({ id, value: job } satisfies Numbered<Job>);
    return settle.promise;
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #die(error: unknown): void {
    this.dead ??= new TslayerError('FAILED', 'a worker thread broke', { cause: error });
    for (const { reject } of this.#running.values()) reject(this.dead);
    this.#running.clear();
  }
}

export class ThreadPool implements AsyncDisposable {
  readonly #limit: number;
  readonly #free: Thread[] = [];
  #shared: Thread | undefined;
  readonly #waiting: { readonly most: number; readonly resolve: (threads: Thread[]) => void }[] = [];
  #busy = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts threads before there is work for them, so that their start costs no time then. */
  warm(count: number): void {
    const there = () => this.#free.length + this.#busy + (this.#shared ? 1 : 0);
    while (there() < Math.min(count, this.#limit)) this.#free.push(new Thread());
  }

  /** Whether there may be a thread for all, and others beside it. */
  get canShare(): boolean {
    return this.#limit > 1;
  }

  /** The thread for jobs of several layers at a time, none of which blocks it. */
  shared(): Thread {
    if (this.#shared?.dead) this.#shared = undefined;
    this.#shared ??= this.#free.pop() ?? new Thread();
    return this.#shared;
  }

  /** Waits for its turn and a free thread; then it gets as many as are free, at most `most`. */
  acquire(most: number): Promise<Thread[]> {
    const { promise, resolve } = Promise.withResolvers<Thread[]>();
    this.#waiting.push({ most, resolve });
    this.#serve();
    return promise;
  }

  release(threads: readonly Thread[]): void {
    this.#busy -= threads.length;
    this.#free.push(...threads.filter((thread) => thread.dead === undefined));
    this.#serve();
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const count = Math.min(next.most, this.#limit - this.#busy - (this.#shared ? 1 : 0));
      if (count <= 0) return;
      this.#waiting.shift();
      this.#busy += count;
      next.resolve(Array.from({ length: count }, () => this.#free.pop() ?? new Thread()));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const idle = [...this.#free.splice(0), ...(this.#shared ? [this.#shared] : [])];
    this.#shared = undefined;
    await Promise.all(idle.map((thread) => thread.stop()));
  }
}
