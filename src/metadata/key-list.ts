/**
 * Many keys as one text, for what thinks about whole tables. A string of a digest costs more than all that is done with
 * it, and a Map of strings hashes each one whole: here a key is a place in the text, found by its last characters, and
 * is compared four characters at a time.
 */

/** Stands for a key that a row does not have. */
export const NO_KEY = '-';

/** Ends each key; none holds one. */
const END = ' ';
const BLANK = 0x20;
const ZERO = 0x30;
/** Characters compared at once. */
const WORD = Int32Array.BYTES_PER_ELEMENT;
/** Words that a key is found by: those at the end of a digest are as good as random. */
const HASHED = 3;

export class KeyList {
  readonly length: number;
  /** The keys, each with as many blanks behind it as fill its last word, and one at least. */
  readonly #words: Int32Array;
  /** The word at which each key begins, and where one more would. */
  readonly #begins: Int32Array;
  /** Open addressing: one more than the place of a key, 0 where there is none. Its length is a power of two. */
  #table: Int32Array | undefined;

  /** @param text `length` keys, a blank behind each */
  constructor(text: Buffer, length: number) {
    this.length = length;
    [this.#words, this.#begins] = asTheyAre(text, length) ?? padded(text, length);
  }

  static of(keys: readonly string[]): KeyList {
    return new KeyList(Buffer.from(keys.map((key) => key + END).join('')), keys.length);
  }

  strings(): string[] {
    const { buffer, byteOffset, byteLength } = this.#words;
    return stringsIn(Buffer.from(buffer, byteOffset, byteLength), this.length);
  }

  /** Where each of `wanted` is in this list, -1 for what is not. This list holds no key twice. */
  placesOf(wanted: KeyList): Int32Array {
    this.#table ??= hashed(this.#words, this.#begins);
    return find(this.#table, this.#words, this.#begins, wanted.#words, wanted.#begins);
  }
}

/** The keys of such a text, for those who look for none. */
export function stringsIn(text: Buffer, length: number): string[] {
  const strings = text.toString().split(END);
  // Between the blanks behind one key, and behind the last.
  return strings.length === length + 1 ? strings.slice(0, -1) : strings.filter((key) => key !== '');
}

/** Numbers of a text that was put together as that of a KeyList: whole ones, none negative. */
export function numbersIn(text: Buffer, length: number): Float64Array {
  const numbers = new Float64Array(length);
  for (let i = 0, at = 0; i < text.length; i++) {
    const byte = text[i] as number;
    if (byte === BLANK) at++;
    else numbers[at] = (numbers[at] as number) * 10 + (byte - ZERO);
  }
  return numbers;
}

type Words = readonly [words: Int32Array, begins: Int32Array];

/**
 * Without a look at each character, where each key fills as many words as the first: digests of one algorithm do. There
 * are as many blanks as keys, so those that are found are all.
 */
function asTheyAre(text: Buffer, length: number): Words | undefined {
  const step = text.length / length / WORD;
  if (!Number.isInteger(step) || text.byteOffset % WORD !== 0) return undefined;
  const words = new Int32Array(text.buffer, text.byteOffset, text.length / WORD);
  const begins = new Int32Array(length + 1);
  for (let i = 1, at = step; i <= length; i++, at += step) {
    if (lastCharacter(words[at - 1] as number) !== BLANK) return undefined;
    begins[i] = at;
  }
  return [words, begins];
}

const isLittleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function lastCharacter(word: number): number {
  return isLittleEndian ? word >>> 24 : word & 0xff;
}

function padded(text: Buffer, length: number): Words {
  const begins = new Int32Array(length + 1);
  const bytes = Buffer.alloc(text.length + length * (WORD - 1), BLANK);
  for (let i = 0, from = 0, to = 0; i < length; i++) {
    const end = text.indexOf(BLANK, from) + 1;
    text.copy(bytes, to, from, end);
    to += Math.ceil((end - from) / WORD) * WORD;
    begins[i + 1] = to / WORD;
    from = end;
  }
  const words = begins[length] as number;
  return [new Int32Array(bytes.buffer, bytes.byteOffset, words), begins];
}

function hashOf(words: Int32Array, begin: number, end: number): number {
  let hash = 0;
  for (let at = Math.max(begin, end - HASHED); at < end; at++)
    hash = Math.imul(hash ^ (words[at] as number), 0x9e3779b1);
  return hash >>> 8;
}

function hashed(words: Int32Array, begins: Int32Array): Int32Array {
  const length = begins.length - 1;
  const table = new Int32Array(2 ** Math.ceil(Math.log2(2 * length + 1)));
  const mask = table.length - 1;
  for (let place = 0; place < length; place++) {
    let slot = hashOf(words, begins[place] as number, begins[place + 1] as number) & mask;
    while (table[slot] !== 0) slot = (slot + 1) & mask;
    table[slot] = place + 1;
  }
  return table;
}

function find(
  table: Int32Array,
  words: Int32Array,
  begins: Int32Array,
  wanted: Int32Array,
  wantedBegins: Int32Array,
): Int32Array {
  const places = new Int32Array(wantedBegins.length - 1);
  const mask = table.length - 1;
  for (let i = 0; i < places.length; i++) {
    const begin = wantedBegins[i] as number;
    const length = (wantedBegins[i + 1] as number) - begin;
    let slot = hashOf(wanted, begin, begin + length) & mask;
    let place = (table[slot] as number) - 1;
    while (place >= 0 && !isKey(words, begins, place, wanted, begin, length)) {
      slot = (slot + 1) & mask;
      place = (table[slot] as number) - 1;
    }
    places[i] = place;
  }
  return places;
}

function isKey(
  words: Int32Array,
  begins: Int32Array,
  place: number,
  wanted: Int32Array,
  begin: number,
  length: number,
): boolean {
  const own = begins[place] as number;
  if ((begins[place + 1] as number) - own !== length) return false;
  let at = length;
  while (at > 0 && words[own + at - 1] === wanted[begin + at - 1]) at--;
  return at === 0;
}
