/**
 * A ring of buffers in shared memory between one producer and one consumer on two threads. Bytes are written where
 * they will be read; whoever is ahead waits, so that memory is bounded from end to end.
 *
 * A thread that has nothing else to do waits in Atomics.wait; the main thread, and one that serves several rings, in
 * Atomics.waitAsync. Each side has a bell that the other one rings after every change: it is looked at before the state
 * and waited for behind it, so that no ring is missed.
 */

/** What the other thread needs: structured-cloneable. */
export interface RingHandle {
  readonly control: SharedArrayBuffer;
  readonly data: SharedArrayBuffer;
  readonly slots: number;
}

/** The other side gave up; its own error says why. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

// Words of the control block.
const PRODUCED = 0;
const CONSUMED = 1;
const STATE = 2;
const PRODUCER_BELL = 3;
const CONSUMER_BELL = 4;
const LENGTHS = 5;

const OPEN = 0;
const ENDED = 1;
const CANCELLED = 2;

export class Ring {
  readonly handle: RingHandle;
  readonly #control: Int32Array;
  readonly #slots: readonly Uint8Array[];

  constructor(handle: RingHandle) {
    this.handle = handle;
    this.#control = new Int32Array(handle.control);
    const size = handle.data.byteLength / handle.slots;
    this.#slots = Array.from({ length: handle.slots }, (_, i) => new Uint8Array(handle.data, i * size, size));
  }

  /** @param slots a power of two */
  static create(slots: number, slotSize: number): Ring {
    const control = new SharedArrayBuffer(4 * (LENGTHS + slots));
    return new Ring({ control, data: new SharedArrayBuffer(slots * slotSize), slots });
  }

  /** Both sides stop at their next step. */
  cancel(): void {
    Atomics.store(this.#control, STATE, CANCELLED);
    this.#ring(PRODUCER_BELL);
    this.#ring(CONSUMER_BELL);
  }

  get cancelled(): boolean {
    return Atomics.load(this.#control, STATE) === CANCELLED;
  }

  // The producer's side

  /** The buffer to fill next; blocks until there is one. The same one until `publish`. */
  room(): Uint8Array {
    for (;;) {
      const bell = Atomics.load(this.#control, PRODUCER_BELL);
      const slot = this.tryRoom();
      if (slot !== undefined) return slot;
      Atomics.wait(this.#control, PRODUCER_BELL, bell);
    }
  }

  async roomAsync(): Promise<Uint8Array> {
    for (;;) {
      const bell = Atomics.load(this.#control, PRODUCER_BELL);
      const slot = this.tryRoom();
      if (slot !== undefined) return slot;
      await Atomics.waitAsync(this.#control, PRODUCER_BELL, bell).value;
    }
  }

  /** Whether the consumer has nothing to do. */
  get idle(): boolean {
    return Atomics.load(this.#control, PRODUCED) === Atomics.load(this.#control, CONSUMED);
  }

  /** Hands the first `length` bytes of the room over. */
  publish(length: number): void {
    const produced = Atomics.load(this.#control, PRODUCED);
    this.#control[LENGTHS + this.#indexOf(produced)] = length;
    Atomics.add(this.#control, PRODUCED, 1);
    this.#ring(CONSUMER_BELL);
  }

  /** Nothing more comes. */
  end(): void {
    Atomics.compareExchange(this.#control, STATE, OPEN, ENDED);
    this.#ring(CONSUMER_BELL);
  }

  // The consumer's side

  /** The next bytes; blocks until there are some. Undefined at the end. They are good until `release`. */
  take(): Uint8Array | undefined {
    for (;;) {
      const bell = Atomics.load(this.#control, CONSUMER_BELL);
      const chunk = this.#tryTake();
      if (chunk !== 'later') return chunk;
      Atomics.wait(this.#control, CONSUMER_BELL, bell);
    }
  }

  async takeAsync(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bell = Atomics.load(this.#control, CONSUMER_BELL);
      const chunk = this.#tryTake();
      if (chunk !== 'later') return chunk;
      await Atomics.waitAsync(this.#control, CONSUMER_BELL, bell).value;
    }
  }

  #tryTake(): Uint8Array | 'later' | undefined {
    const state = Atomics.load(this.#control, STATE);
    if (state === CANCELLED) throw new Cancelled();
    if (this.idle) return state === ENDED ? undefined : 'later';
    const index = this.#indexOf(Atomics.load(this.#control, CONSUMED));
    return this.#slots[index]!.subarray(0, this.#control[LENGTHS + index]);
  }

  /** Gives the buffer taken last back. */
  release(): void {
    Atomics.add(this.#control, CONSUMED, 1);
    this.#ring(PRODUCER_BELL);
  }

  /** The buffer to fill next, if there is one now. */
  tryRoom(): Uint8Array | undefined {
    if (this.cancelled) throw new Cancelled();
    const produced = Atomics.load(this.#control, PRODUCED);
    const used = (produced - Atomics.load(this.#control, CONSUMED)) | 0;
    return used < this.#slots.length ? this.#slots[this.#indexOf(produced)] : undefined;
  }

  #ring(bell: number): void {
    Atomics.add(this.#control, bell, 1);
    Atomics.notify(this.#control, bell);
  }

  #indexOf(counter: number): number {
    return counter & (this.#slots.length - 1);
  }
}
