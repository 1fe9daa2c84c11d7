/** One timer for the phases of an exchange: connecting, sending, waiting for the answer. */
import { TransportProblem } from '../errors.ts';

export class Watchdog {
  readonly #expired: (error: Error) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(expired: (error: Error) => void) {
    this.#expired = expired;
  }

  /** Something must happen within `ms`, or the exchange fails with that reason. Replaces what was expected before. */
  expect(ms: number, reason: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expired(timeoutError(reason, ms)), ms);
  }

  /** Something came along: the phase starts anew. */
  refresh(): void {
    this.#timer?.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function timeoutError(reason: string, ms: number): TransportProblem {
  const time = ms >= 1000 ? `${Math.round(ms / 100) / 10} s` : `${ms} ms`;
  return new TransportProblem(`${reason} for ${time}`, { code: 'NETWORK', temporary: true });
}
