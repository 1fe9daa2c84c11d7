/** The keys that leave a container without ending it: `ctrl-p,ctrl-q`. */
import { TslayerError } from '../errors.ts';

export const DEFAULT_DETACH_KEYS = 'ctrl-p,ctrl-q';

/** Docker's spelling: letters, or `ctrl-` with a letter or one of `@ [ \ ] ^ _`, separated by commas. */
export function parseKeys(text: string): number[] {
  return text
    .split(',')
    .filter(Boolean)
    .map((key) => {
      const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
      if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
      if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0);
      throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(key)} is no key: write a, or ctrl-a`);
    });
}

/** Finds the sequence in what is typed. A beginning of it is held back until it is known to be none. */
export class KeySequence {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  push(data: Uint8Array): { pass: Uint8Array; found: boolean } {
    if (this.#keys.length === 0) return { pass: data, found: false };
    const pass: number[] = [];
    for (const byte of data) {
      if (byte !== this.#keys[this.#matched]) {
        pass.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) pass.push(byte);
      else if (++this.#matched === this.#keys.length) {
        this.#matched = 0;
        return { pass: Uint8Array.from(pass), found: true };
      }
    }
    return { pass: Uint8Array.from(pass), found: false };
  }
}
