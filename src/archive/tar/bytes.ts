/** Byte strings: where copies of names live, how they are shown. */

export const EMPTY: Uint8Array = new Uint8Array(0);

const SLAB = 1 << 16;

/**
 * Copies of short byte strings, packed into slabs of 64 KiB: an ArrayBuffer for each name would cost more than the
 * rest of parsing its header. A copy keeps its slab alive, which suits names that are kept all or not at all.
 */
export class Slab {
  #bytes: Uint8Array = EMPTY;
  #used = 0;

  copy(source: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start;
    if (length === 0) return EMPTY;
    if (length > SLAB / 4) return source.slice(start, end);
    if (this.#used + length > this.#bytes.length) {
      this.#bytes = new Uint8Array(SLAB);
      this.#used = 0;
    }
    const copy = this.#bytes.subarray(this.#used, this.#used + length);
    this.#used += length;
    // A loop beats set() on a subarray for names of usual length.
    if (length < 128) for (let i = 0; i < length; i++) copy[i] = source[start + i]!;
    else copy.set(source.subarray(start, end));
    return copy;
  }
}

/** A byte string for a message: quoted, control characters escaped, never longer than a line. */
export function quote(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 240)).toString();
  return JSON.stringify(bytes.length > 240 ? `${text}…` : text);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
