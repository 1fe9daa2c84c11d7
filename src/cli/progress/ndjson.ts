/** Progress for programs: every event as one line of JSON; byte counts at most ten times a second for each blob. */
import type { OnProgress, ProgressEvent } from '../../progress.ts';
import type { Output } from '../output.ts';

const INTERVAL_MS = 100;

export class NdjsonView {
  readonly #output: Output;
  readonly #last = new Map<string, number>();

  constructor(output: Output) {
    this.#output = output;
  }

  readonly onProgress: OnProgress = (event) => {
    if (!this.#isDue(event)) return;
    this.#output.event(event);
  };

  finish(): void {}

  #isDue(event: ProgressEvent): boolean {
    if (event.type !== 'transfer' && event.type !== 'unpack') return true;
    if (event.type === 'transfer' && event.bytes >= event.total) return true;
    const key = `${event.type} ${event.digest}`;
    const now = Date.now();
    if (now - (this.#last.get(key) ?? 0) < INTERVAL_MS) return false;
    this.#last.set(key, now);
    return true;
  }
}
