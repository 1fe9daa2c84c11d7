/** What a command has at hand: the streams, the user's wish to stop, and the library. */
import type { Tslayer, TslayerOptions } from '../index.ts';
import type { OperationOptions } from '../progress.ts';
import type { GlobalOptions } from './globals.ts';
import { Output } from './output.ts';
import type { Interruption } from './signals.ts';

export class Cli implements AsyncDisposable {
  readonly globals: GlobalOptions;
  readonly output: Output;
  readonly interruption: Interruption;
  /** That of the program which a command ran. */
  exitStatus = 0;
  readonly #hosts: readonly string[];
  #tslayer: Promise<Tslayer> | undefined;

  /** @param words the command's arguments */
  constructor(globals: GlobalOptions, interruption: Interruption, words: readonly unknown[] = []) {
    this.globals = globals;
    this.interruption = interruption;
    // What stands before the first slash is a registry, or nothing that a request would go to.
    this.#hosts = words.flat().flatMap((word) => (typeof word === 'string' ? [word.split('/')[0] ?? ''] : []));
    this.output = new Output({
      json: globals.json === true,
      quiet: globals.quiet === true,
      logLevel: globals.debug ? 'debug' : globals.logLevel,
      color: globals.color,
    });
  }

  get json(): boolean {
    return this.output.options.json;
  }

  get quiet(): boolean {
    return this.output.options.quiet;
  }

  get signal(): AbortSignal {
    return this.interruption.signal;
  }

  /** The store, opened at the first call and closed after the command. */
  open(): Promise<Tslayer> {
    this.#tslayer ??= this.#openLibrary(this.globals);
    return this.#tslayer;
  }

  /** The store with the driver that it has, where --driver means another one. */
  openAsItIs(): Promise<Tslayer> {
    this.#tslayer ??= this.#openLibrary({ ...this.globals, driver: undefined });
    return this.#tslayer;
  }

  async #openLibrary(globals: Pick<TslayerOptions, 'root' | 'driver' | 'config'>): Promise<Tslayer> {
    const { openTslayer } = await import('../index.ts');
    const { root, driver, config } = globals;
    const { plainHttp, insecure } = this.globals;
    const { output } = this;
    return openTslayer({
      root,
      driver,
      config,
      plainHttp: plainHttp ? this.#hosts : [],
      insecure: insecure ? this.#hosts : [],
      ...(output.shows('debug') && { trace: (line: string) => output.message(line, 'debug') }),
    });
  }

  /**
   * Does a long operation with its progress on display.
   * @param work calls `settle` when the streams are to be somebody else's from then on
   */
  async working<T>(work: (options: OperationOptions, settle: () => void) => Promise<T>): Promise<T> {
    // Read by libuv when its first thread starts: layers that wait for the disk side by side share commits of its journal.
    process.env.UV_THREADPOOL_SIZE ??= '16';
    const { openProgress } = await import('./progress/view.ts');
    const view = await openProgress(this.output);
    try {
      return await work({ signal: this.signal, onProgress: view.onProgress }, () => view.finish());
    } finally {
      view.finish();
    }
  }

  /** The end of a long operation: an event for programs, a line for people. */
  result(value: object, line?: string): void {
    if (this.json) this.output.event({ type: 'result', ...value });
    else if (line !== undefined) this.output.line(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const tslayer = await this.#tslayer?.catch(() => undefined);
    await tslayer?.close();
  }
}
