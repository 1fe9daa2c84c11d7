/** Ctrl-C and its like: the first asks the operation to stop and clean up, the second ends the process. */
import { constants } from 'node:os';
import { TslayerError } from '../errors.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readerGone = false;
  /** Why the results could not be written. */
  outputFailure: TslayerError | undefined;
  #received: (typeof SIGNALS)[number] | undefined;

  constructor() {
    this.watch();
  }

  watch(): void {
    for (const name of SIGNALS) process.on(name, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** 130 after SIGINT; undefined when no signal came. */
  get exitStatus(): number | undefined {
    return this.#received && 128 + constants.signals[this.#received];
  }

  /** Stops the operation for another reason: nobody reads its output any more. */
  readerLeft(): void {
    this.readerGone = true;
    this.#controller.abort(new TslayerError('ABORTED', 'the output is closed'));
  }

  /** Stops the operation, since its results are lost: the disk that they go to is full, say. */
  outputFailed(error: Error): void {
    this.outputFailure ??= new TslayerError('FAILED', `cannot write the output: ${error.message}`, { cause: error });
    this.#controller.abort(this.outputFailure);
  }

  /** From here on the signals are somebody else's: those of a program in the foreground. */
  [Symbol.dispose](): void {
    for (const name of SIGNALS) process.off(name, this.#onSignal);
  }

  readonly #onSignal = (name: NodeJS.Signals): void => {
    if (this.#received) process.exit(this.exitStatus);
    this.#received = SIGNALS.find((known) => known === name);
    this.#controller.abort(new TslayerError('ABORTED', 'interrupted'));
  };
}
