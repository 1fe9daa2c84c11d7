/** Fills a ring from the main thread with chunks of any size, without blocking. */
import type { Ring } from './ring.ts';

export class RingFiller {
  readonly #ring: Ring;
  #filled = 0;

  constructor(ring: Ring) {
    this.#ring = ring;
  }

  /** Copies the chunk in; a promise only when it has to wait for room. Throws Cancelled. */
  add(chunk: Uint8Array, from: number = 0): Promise<void> | undefined {
    for (let at = from; at < chunk.length; ) {
      const room = this.#ring.tryRoom();
      if (room === undefined) return this.#ring.roomAsync().then(() => this.add(chunk, at));
      const take = Math.min(chunk.length - at, room.length - this.#filled);
      room.set(take === chunk.length ? chunk : chunk.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      // Full, or wanted: a consumer without work shall not wait for the rest.
      if (this.#filled === room.length || this.#ring.idle) this.#publish();
    }
    return undefined;
  }

  end(): void {
    if (this.#filled > 0) this.#publish();
    this.#ring.end();
  }

  #publish(): void {
    this.#ring.publish(this.#filled);
    this.#filled = 0;
  }
}
