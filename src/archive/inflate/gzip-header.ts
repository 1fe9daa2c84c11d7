/**
 * Steps over a gzip member's header, in whatever pieces it comes. RFC 1952, 2.3. ISA-L could do it, but takes a
 * header with a checksum of its own that comes in two pieces for broken (2.30).
 */
import { crc32 } from 'node:zlib';
import { inflateError } from './problems.ts';

const FHCRC = 2;
const FEXTRA = 4;
const FNAME = 8;
const FCOMMENT = 16;
const RESERVED = 0xe0;

// What the bytes to come are.
const FIXED = 0;
const EXTRA_LENGTH = 1;
const EXTRA = 2;
const NAME = 3;
const COMMENT = 4;
const CHECKSUM = 5;
const DONE = 6;

export class GzipHeader {
  #state = FIXED;
  #left = 10;
  #flags = 0;
  /** The two-byte number being read, of its first byte only when `#left` is 1. */
  #number = 0;
  #crc = 0;

  get complete(): boolean {
    return this.#state === DONE;
  }

  /** Steps over header bytes from `at`; where it stopped. */
  skip(bytes: Uint8Array, at: number): number {
    let to = at;
    while (to < bytes.length && this.#state < CHECKSUM) this.#take(bytes[to++]!);
    this.#crc = crc32(bytes.subarray(at, to), this.#crc);
    while (to < bytes.length && this.#state === CHECKSUM) this.#take(bytes[to++]!);
    return to;
  }

  #take(byte: number): void {
    switch (this.#state) {
      case FIXED:
        this.#fixed(10 - this.#left, byte);
        if (--this.#left === 0) this.#enter(EXTRA_LENGTH);
        return;
      case EXTRA_LENGTH:
        this.#number = this.#left === 2 ? byte : this.#number + byte * 256;
        if (--this.#left === 0) this.#enter(EXTRA);
        return;
      case EXTRA:
        if (--this.#left === 0) this.#enter(NAME);
        return;
      case NAME:
      case COMMENT:
        if (byte === 0) this.#enter(this.#state + 1);
        return;
      default:
        this.#number = this.#left === 2 ? byte : this.#number + byte * 256;
        if (--this.#left > 0) return;
        if (this.#number !== (this.#crc & 0xffff)) throw inflateError('gzip', 'header crc mismatch', '');
        this.#enter(DONE);
    }
  }

  #fixed(index: number, byte: number): void {
    if ((index === 0 && byte !== 0x1f) || (index === 1 && byte !== 0x8b)) {
      throw inflateError('gzip', 'incorrect header check', '');
    }
    if (index === 2 && byte !== 8) throw inflateError('gzip', 'unknown compression method', '');
    if (index !== 3) return;
    if ((byte & RESERVED) !== 0) throw inflateError('gzip', 'unknown header flags set', '');
    this.#flags = byte;
  }

  /** Goes on to the next part that the flags promise. */
  #enter(state: number): void {
    if (state === EXTRA_LENGTH && !(this.#flags & FEXTRA)) state = NAME;
    if (state === EXTRA && this.#number === 0) state = NAME;
    if (state === NAME && !(this.#flags & FNAME)) state = COMMENT;
    if (state === COMMENT && !(this.#flags & FCOMMENT)) state = CHECKSUM;
    if (state === CHECKSUM && !(this.#flags & FHCRC)) state = DONE;
    this.#state = state;
    this.#left = state === EXTRA ? this.#number : 2;
  }
}
