/** Finds a name in a directory: a hash table over all dentries of a tree, chained through their rows. */
import type { Arena } from './arena.ts';
import type { DentryTable } from './tables.ts';

export class NameIndex {
  readonly #arena: Arena;
  readonly #dentries: DentryTable;
  /** Random, so that an image cannot be made whose names all meet in one bucket. */
  readonly #seed: number = (Math.random() * 2 ** 32) | 0;
  #buckets: Uint32Array = new Uint32Array(512);

  constructor(arena: Arena, dentries: DentryTable) {
    this.#arena = arena;
    this.#dentries = dentries;
  }

  /** Row of the dentry, 0 when there is none. The name is `source[start … end)`. */
  find(directory: number, source: Uint8Array, start: number, end: number): number {
    const { chain, directory: directories, nameLength, nameAt } = this.#dentries;
    const length = end - start;
    const bucket = this.#hash(directory, source, start, end) & (this.#buckets.length - 1);
    for (let row = this.#buckets[bucket]!; row !== 0; row = chain[row]!) {
      if (
        directories[row] === directory &&
        nameLength[row] === length &&
        this.#same(nameAt[row]!, source, start, length)
      )
        return row;
    }
    return 0;
  }

  insert(row: number): void {
    // Two names a bucket: half the memory, and hardly a comparison more.
    if (row > this.#buckets.length * 2) this.#rehash();
    this.#link(row);
  }

  /** Gives its memory back; nothing can be found any more. */
  drop(): void {
    this.#buckets = new Uint32Array(0);
  }

  #link(row: number): void {
    const { directory, nameAt, nameLength, chain } = this.#dentries;
    const at = nameAt[row]!;
    const hash = this.#hash(directory[row]!, this.#arena.bytes, at, at + nameLength[row]!);
    const bucket = hash & (this.#buckets.length - 1);
    chain[row] = this.#buckets[bucket]!;
    this.#buckets[bucket] = row;
  }

  #rehash(): void {
    const last = this.#dentries.count - 1;
    this.#buckets = new Uint32Array(this.#buckets.length * 2);
    for (let row = 1; row < last; row++) this.#link(row);
  }

  #same(at: number, source: Uint8Array, start: number, length: number): boolean {
    const { bytes } = this.#arena;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== source[start + i]) return false;
    return true;
  }

  /** FNV-1a with a final mix. */
  #hash(directory: number, source: Uint8Array, start: number, end: number): number {
    let hash = Math.imul(directory ^ this.#seed, 0x9e3779b1);
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
    return hash ^ (hash >>> 15);
  }
}
