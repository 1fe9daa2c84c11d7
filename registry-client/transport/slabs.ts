/**
 * The memory that a connection reads into: slabs, each filled from its start to its end. Bytes that are only passing
 * through (a blob's, on their way into a file and an unpacker) give their slab back once they are done with. Fresh
 * memory for each would have V8 collect garbage every few dozen megabytes, a fifth of a pull's CPU time.
 */

/** Small enough to stay in a core's cache while it is filled, hashed and written. */
const SLAB = 512 * 1024;
/** A slab with less room is left behind. */
const LEAST_ROOM = 128 * 1024;

interface Slab {
  readonly bytes: Buffer;
  /** Chunks of it that somebody is still looking at. Never 0 again once one was given away for good. */
  uses: number;
}

export class Slabs {
  #current: Slab | undefined;
  #filled = 0;
  readonly #lent = new Map<ArrayBufferLike, Slab>();
  readonly #free: Slab[] = [];

  /** Where the next bytes go. */
  room(): Buffer {
    if (this.#current === undefined || this.#current.bytes.length - this.#filled < LEAST_ROOM) this.#next();
    return (this.#current as Slab).bytes.subarray(this.#filled);
  }

  /** The first `count` bytes of the room were filled. */
  fill(count: number): void {
    this.#filled += count;
  }

  /** A chunk is handed on. @param transient it comes back by `giveBack` */
  lend(chunk: Uint8Array, transient: boolean): void {
    const slab = this.#slabOf(chunk);
    if (slab === undefined) return;
    if (transient) slab.uses++;
    else {
      slab.uses = Number.POSITIVE_INFINITY;
      this.#lent.delete(slab.bytes.buffer);
    }
  }

  giveBack(chunk: Uint8Array): void {
    const slab = this.#slabOf(chunk);
    if (slab === undefined || --slab.uses > 0 || slab === this.#current) return;
    this.#free.push(slab);
  }

  #slabOf({ buffer }: Uint8Array): Slab | undefined {
    return this.#current?.bytes.buffer === buffer ? this.#current : this.#lent.get(buffer);
  }

  #next(): void {
    // What nobody is looking at is filled anew at once.
    if (this.#current?.uses !== 0) {
      this.#current = this.#free.pop() ?? { bytes: Buffer.allocUnsafeSlow(SLAB), uses: 0 };
      this.#lent.set(this.#current.bytes.buffer, this.#current);
    }
    this.#filled = 0;
  }
}
