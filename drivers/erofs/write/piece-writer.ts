/** Writes an area of a file from front to back, in pieces of a megabyte at most, with zeros where nothing was put. */
import { openHash } from '../../../src/sys/hash.ts';
import { writeAll } from '../../../src/sys/write-all.ts';

const PIECE = 1 << 20;

export class PieceWriter {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #fd: number;
  /** File offset of the buffer's start. */
  #base: number;
  #used = 0;
  /** Of all that was written. */
  readonly #hash = openHash('sha256');

  /** @param length of the area: a small one takes a small buffer */
  constructor(fd: number, position: number, length: number) {
    this.bytes = new Uint8Array(Math.min(PIECE, length));
    this.view = new DataView(this.bytes.buffer);
    this.#fd = fd;
    this.#base = position;
  }

  get position(): number {
    return this.#base + this.#used;
  }

  /** Goes forward to `position`, leaving zeros. */
  skipTo(position: number): void {
    if (position < this.position) throw new RangeError('image areas overlap');
    const { length } = this.bytes;
    while (position - this.#base > length) {
      this.#used = length;
      this.#flush();
    }
    this.#used = position - this.#base;
  }

  /** Room for `length` (up to the buffer's) bytes of zeros; where they begin in `bytes`. */
  reserve(length: number): number {
    if (this.#used + length > this.bytes.length) this.#flush();
    const at = this.#used;
    this.#used += length;
    return at;
  }

  put(source: Uint8Array): void {
    for (let done = 0; done < source.length; ) {
      if (this.#used === this.bytes.length) this.#flush();
      const part = source.subarray(done, done + this.bytes.length - this.#used);
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
