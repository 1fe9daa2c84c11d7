/** Things that take long to make and can be used again, a few of them kept for whoever comes next on this thread. */

const MOST = 4;

export class Spares<T> {
  readonly #make: () => T;
  readonly #kept: T[] = [];

  constructor(make: () => T) {
    this.#make = make;
  }

  take(): T {
    return this.#kept.pop() ?? this.#make();
  }

  /** Nobody may use it afterwards. */
  giveBack(thing: T): void {
    if (this.#kept.length < MOST) this.#kept.push(thing);
  }
}
