/** Writes an area of a file from front to back, in pieces of a megabyte, with zeros where nothing was put. */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';

const PIECE = 1 << 20;

/** All of `bytes` at `position`; write(2) may take less than it is given. */
export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}

export class PieceWriter {
  readonly bytes: Uint8Array = new Uint8Array(PIECE);
  readonly view: DataView = new DataView(this.bytes.buffer);
  readonly #fd: number;
  /** File offset of the buffer's start. */
  #base: number;
  #used = 0;
  /** Of all that was written. */
  readonly #hash = createHash('sha256');

  constructor(fd: number, position: number) {
    this.#fd = fd;
    this.#base = position;
  }

  get position(): number {
    return this.#base + this.#used;
  }

  /** Goes forward to `position`, leaving zeros. */
  skipTo(position: number): void {
    if (position < this.position) throw new RangeError('image areas overlap');
    while (position - this.#base > PIECE) {
      this.#used = PIECE;
      this.#flush();
    }
    this.#used = position - this.#base;
  }

  /** Room for `length` (up to a piece) bytes of zeros; where they begin in `bytes`. */
  reserve(length: number): number {
    if (this.#used + length > PIECE) this.#flush();
    const at = this.#used;
    this.#used += length;
    return at;
  }

  put(source: Uint8Array): void {
    for (let done = 0; done < source.length; ) {
      if (this.#used === PIECE) this.#flush();
      const part = source.subarray(done, done + PIECE - this.#used);
      this.bytes.set(part, this.#used);
      this.#used += part.length;
      done += part.length;
    }
  }

  /** Writes what is left, filled up with zeros to a multiple of `align`; the sha256 of everything. */
  end(align: number): Uint8Array {
    const padded = Math.ceil(this.position / align) * align;
    this.skipTo(padded);
    this.#flush();
    return this.#hash.digest();
  }

  #flush(): void {
    if (this.#used === 0) return;
    const piece = this.bytes.subarray(0, this.#used);
    this.#hash.update(piece);
    writeAll(this.#fd, piece, this.#base);
    this.#base += this.#used;
    this.bytes.fill(0, 0, this.#used);
    this.#used = 0;
  }
}
