/** Attributes by their content: SELinux labels every file, with a few values. */
import type { Arena } from './arena.ts';

/** Longer ones are no labels. */
const MAX_BYTES = 512;
const MAX_KNOWN = 4096;

export class SharedXattrs {
  readonly #arena: Arena;
  readonly #known: Map<string, number> = new Map();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** Offset of the record in the arena. */
  store(entries: Uint8Array): number {
    if (entries.length > MAX_BYTES) return this.#arena.addRecord(entries);
    const key = Buffer.from(entries.buffer, entries.byteOffset, entries.length).toString('latin1');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const at = this.#arena.addRecord(entries);
    if (this.#known.size < MAX_KNOWN) this.#known.set(key, at);
    return at;
  }
}
