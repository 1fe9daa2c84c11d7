import type { Outlet } from './inflater.ts';

/** Fills an outlet with bytes that are there already. */
export class Filler {
  readonly #outlet: Outlet;
  #filled = 0;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const room = this.#outlet.room();
      const take = Math.min(bytes.length - at, room.length - this.#filled);
      room.set(take === bytes.length ? bytes : bytes.subarray(at, at + take), this.#filled);
      this.#filled += take;
      at += take;
      if (this.#filled === room.length) this.flush();
    }
  }

  flush(): void {
    if (this.#filled > 0) this.#outlet.flush(this.#filled);
    this.#filled = 0;
  }
}
