/**
 * What precedes a member and speaks of it: PAX headers (x, g) and GNU long names (L, K). Collects their payload,
 * holds what is in force for the entry to come, and counts what it costs.
 */
import { TslayerError } from '../../errors.ts';
import { EMPTY, type Slab } from './bytes.ts';
import { fieldEnd } from './header.ts';
import { inherit, type PaxRecords, parsePax } from './pax.ts';

const PAX_LOCAL = 0x78; // x
const PAX_SOLARIS = 0x58; // X, as Sun's tar spelt it
const PAX_GLOBAL = 0x67; // g
const GNU_LONG_NAME = 0x4c; // L
const GNU_LONG_LINK = 0x4b; // K

const NO_RECORDS: PaxRecords = {};

export function isExtension(typeflag: number): boolean {
  return (
    typeflag === PAX_LOCAL ||
    typeflag === PAX_GLOBAL ||
    typeflag === GNU_LONG_NAME ||
    typeflag === GNU_LONG_LINK ||
    typeflag === PAX_SOLARIS
  );
}

export class Extensions {
  readonly #limit: number;
  readonly #slab: Slab;
  #globals: PaxRecords | undefined;
  #locals: PaxRecords | undefined;
  longName: Uint8Array | undefined;
  longLink: Uint8Array | undefined;
  /** Bytes of metadata spent on the entry to come. */
  #spent = 0;
  /** Global records stay, so their bytes add up over the whole layer. */
  #globalBytes = 0;
  #typeflag = 0;
  #payload = EMPTY;
  #filled = 0;

  constructor(limit: number, slab: Slab) {
    this.#limit = limit;
    this.#slab = slab;
  }

  /** The PAX records in force. */
  get records(): PaxRecords {
    return this.#locals ?? this.#globals ?? NO_RECORDS;
  }

  /** Whether something waits for its entry. */
  get pending(): boolean {
    return this.#locals !== undefined || this.longName !== undefined || this.longLink !== undefined;
  }

  /** Counts bytes of metadata; headers of unbounded size are a way to fill the memory (CVE-2025-58183). */
  spend(bytes: number): void {
    this.#spent += bytes;
    if (this.#spent > this.#limit) throw this.#tooMuch('headers for one entry');
  }

  /** A payload of `size` bytes follows. */
  begin(typeflag: number, size: number): void {
    this.spend(size);
    this.#typeflag = typeflag;
    this.#filled = 0;
    if (size === 0) this.#use(EMPTY);
  }

  /** A part of the payload, after which `left` bytes are still to come. */
  feed(part: Uint8Array, left: number): void {
    if (this.#filled === 0 && left === 0) {
      this.#use(part);
      return;
    }
    if (this.#filled === 0) this.#payload = new Uint8Array(part.length + left);
    this.#payload.set(part, this.#filled);
    this.#filled += part.length;
    if (left === 0) this.#use(this.#payload);
  }

  /** The entry was announced: what spoke of it alone is gone. */
  forget(): void {
    this.#locals = this.longName = this.longLink = undefined;
    this.#spent = 0;
  }

  #tooMuch(what: string): TslayerError {
    return new TslayerError('LIMIT_EXCEEDED', `tar: more than ${this.#limit} bytes of ${what}`);
  }

  #use(bytes: Uint8Array): void {
    if (this.#typeflag === PAX_GLOBAL) {
      this.#globals ??= {};
      this.#globalBytes += bytes.length;
      if (this.#globalBytes > this.#limit) throw this.#tooMuch('global headers');
      parsePax(bytes, this.#globals, this.#slab);
    } else if (this.#typeflag === GNU_LONG_NAME) {
      this.longName = this.#slab.copy(bytes, 0, fieldEnd(bytes, 0, bytes.length));
    } else if (this.#typeflag === GNU_LONG_LINK) {
      this.longLink = this.#slab.copy(bytes, 0, fieldEnd(bytes, 0, bytes.length));
    } else {
      this.#locals ??= inherit(this.#globals);
      parsePax(bytes, this.#locals, this.#slab);
    }
    this.#payload = EMPTY;
  }
}
