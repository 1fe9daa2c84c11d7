/**
 * Names in a layer, brought into the form of TarEntry.path. Layer names are attacker's input: a `..` is refused
 * rather than resolved (CVE-2021-29136, CVE-2021-32760), a leading `/` means the layer's root.
 */
import { TslayerError } from '../../errors.ts';
import { EMPTY, quote, type Slab } from './bytes.ts';

const SLASH = 0x2f;
const DOT = 0x2e;
/** NAME_MAX: no Linux file system holds a longer one. */
const MAX_NAME = 255;

/** Puts one path together from its pieces (prefix and name), component by component, in a buffer that is reused. */
export class PathCleaner {
  #buffer = new Uint8Array(4096);
  #length = 0;
  readonly #limit: number;
  /** Start of the first component that begins with `.wh.`, or -1. */
  whiteoutAt = -1;
  /** Start of the last component. */
  baseAt = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get bytes(): Uint8Array {
    return this.#buffer;
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
    this.whiteoutAt = -1;
    this.baseAt = 0;
  }

  /** Appends `source[start, end)`; true when it ended in a slash, which in old tars marks a directory. */
  append(source: Uint8Array, start: number, end: number): boolean {
    if (end - start > this.#limit) throw new TslayerError('LIMIT_EXCEEDED', `tar: a path of ${end - start} bytes`);
    this.#reserve(end - start + 1);
    for (let at = start; at < end; ) {
      let stop = at;
      while (stop < end && source[stop] !== SLASH) {
        if (source[stop] === 0) throw new TslayerError('MALFORMED', 'tar: a path with a NUL in it');
        stop++;
      }
      if (isParent(source, at, stop)) {
        throw new TslayerError('UNSAFE_LAYER', `tar: the path ${quote(source.subarray(start, end))} climbs with ".."`);
      }
      this.#component(source, at, stop);
      at = stop + 1;
    }
    return end > start && source[end - 1] === SLASH;
  }

  /** A copy of the path that outlives this buffer. */
  take(slab: Slab): Uint8Array {
    return this.#length === 0 ? EMPTY : slab.copy(this.#buffer, 0, this.#length);
  }

  #component(source: Uint8Array, start: number, end: number): void {
    const length = end - start;
    if (length === 0 || (length === 1 && source[start] === DOT)) return;
    if (length > MAX_NAME) throw new TslayerError('MALFORMED', `tar: a file name of ${length} bytes`);
    const buffer = this.#buffer;
    let at = this.#length;
    if (at > 0) buffer[at++] = SLASH;
    this.baseAt = at;
    for (let i = start; i < end; i++) buffer[at++] = source[i]!;
    this.#length = at;
    if (this.whiteoutAt === -1 && startsWhiteout(buffer, this.baseAt, at)) this.whiteoutAt = this.baseAt;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed > this.#limit + 256) throw new TslayerError('LIMIT_EXCEEDED', `tar: a path of ${needed} bytes`);
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(needed * 2);
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** Whether `bytes[start, end)` is `..`. */
function isParent(bytes: Uint8Array, start: number, end: number): boolean {
  return bytes[start] === DOT && bytes[start + 1] === DOT && end - start === 2;
}

function startsWhiteout(bytes: Uint8Array, at: number, end: number): boolean {
  return (
    end - at >= 4 && bytes[at] === DOT && bytes[at + 1] === 0x77 && bytes[at + 2] === 0x68 && bytes[at + 3] === DOT
  );
}
