/** Byte strings of a tree (names, link targets, attributes) in one growing buffer, addressed by offset. */
import { TslayerError } from '../../../src/errors.ts';
import { nextCapacity, widened } from './tables.ts';

/** Far above any honest layer: a million entries need some 30 MB. */
const LIMIT = 512 * 1024 ** 2;

export class Arena {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1 << 16);
  /** Offset 0 is never given out, so that it can mean "none". */
  #end = 8;

  /** Copies `source` in; its offset. */
  add(source: Uint8Array): number {
    this.#reserve(source.length);
    const at = this.#end;
    this.bytes.set(source, at);
    this.#end += source.length;
    return at;
  }

  /** Copies part of `source` in, for names that are a few bytes: a loop beats making a view of each. */
  addPart(source: Uint8Array, start: number, end: number): number {
    this.#reserve(end - start);
    const at = this.#end;
    const { bytes } = this;
    for (let from = start, to = at; from < end; from++, to++) bytes[to] = source[from]!;
    this.#end += end - start;
    return at;
  }

  /** Copies `source` in with its length; the record's offset. */
  addRecord(source: Uint8Array): number {
    const at = this.add(Uint8Array.of(source.length, source.length >> 8, source.length >> 16, source.length >> 24));
    this.add(source);
    return at;
  }

  recordLength(at: number): number {
    const { bytes } = this;
    return at === 0 ? 0 : bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  }

  /** A record's bytes; none for offset 0. */
  record(at: number): Uint8Array {
    return this.view(at + 4, this.recordLength(at));
  }

  view(at: number, length: number): Uint8Array {
    return this.bytes.subarray(at, at + length);
  }

  #reserve(more: number): void {
    const need = this.#end + more;
    if (need <= this.bytes.length) return;
    if (need > LIMIT) throw new TslayerError('LIMIT_EXCEEDED', 'names and attributes of a layer over 512 MiB');
    this.bytes = widened(this.bytes, Math.min(LIMIT, Math.max(need, nextCapacity(this.bytes.length))));
  }
}
