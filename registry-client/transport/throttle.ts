/** A limit on bytes a second, shared by everything that is transferred: a token bucket that holds half a second. */
import { setTimeout as sleep } from 'node:timers/promises';

const BURST_S = 0.5;

export class Throttle {
  readonly #bytesPerSecond: number;
  /** When the bytes that were taken so far are paid for, ms. */
  #paidUntil = 0;

  /** @param bytesPerSecond 0 is unlimited */
  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  get active(): boolean {
    return this.#bytesPerSecond > 0;
  }

  /** Waits until that many bytes may have been transferred. */
  async take(bytes: number): Promise<void> {
    if (!this.active) return;
    const now = performance.now();
    const earliest = now - BURST_S * 1000;
    this.#paidUntil = Math.max(this.#paidUntil, earliest) + (bytes / this.#bytesPerSecond) * 1000;
    if (this.#paidUntil > now) await sleep(this.#paidUntil - now);
  }
}
