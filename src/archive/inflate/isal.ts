/** Inflates gzip by ISA-L, where the machine has it and it does what it should. */
import zlib from 'node:zlib';
import { IsalState } from '../../sys/isal.ts';
import { Spares } from '../spares.ts';
import { GzipHeader } from './gzip-header.ts';
import type { Inflater, Outlet } from './inflater.ts';
import { cutShort, inflateError, trailingGarbage } from './problems.ts';

const MESSAGES: Readonly<Record<number, string>> = {
  [-1]: 'invalid block',
  [-2]: 'invalid symbol',
  [-3]: 'invalid distance too far back',
  [-6]: 'incorrect data check',
};

/** Their quarter of a megabyte each is as much work as a small layer. */
const STATES: Spares<IsalState> = new Spares(() => {
  const state = IsalState.open();
  if (state === undefined) throw new TypeError('ISA-L is not there');
  return state;
});

class IsalInflater implements Inflater {
  readonly #outlet: Outlet;
  readonly #state: IsalState;
  #header = new GzipHeader();
  #filled = 0;
  /** Only zeros may follow. */
  #over = false;
  #closed = false;

  constructor(outlet: Outlet, state: IsalState) {
    this.#outlet = outlet;
    this.#state = state;
  }

  write(input: Uint8Array): undefined {
    let at = 0;
    while (at < input.length && !this.#over) {
      if (this.#state.finished) {
        // As with zlib: a zero behind a member is padding, anything else another member.
        this.#over = input[at] === 0;
        if (this.#over) break;
        this.#state.restart();
        this.#header = new GzipHeader();
      }
      at = this.#header.complete ? this.#inflate(input, at) : this.#header.skip(input, at);
    }
    for (; at < input.length; at++) if (input[at] !== 0) throw trailingGarbage('gzip');
  }

  end(): undefined {
    if (!this.#state.finished) throw cutShort('gzip');
    if (this.#filled > 0) this.#outlet.flush(this.#filled);
    this.#filled = 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    STATES.giveBack(this.#state);
  }

  /** Inflates until the input is used up or the member is whole; where it stopped. */
  #inflate(input: Uint8Array, at: number): number {
    const state = this.#state;
    for (;;) {
      const room = this.#outlet.room();
      const result = state.inflate(input, at, room, this.#filled);
      if (result < 0) throw inflateError('gzip', MESSAGES[result] ?? `error ${result}`, '');
      at = input.length - state.inputLeft;
      this.#filled = room.length - state.outputLeft;
      if (this.#filled < room.length) return at;
      this.#outlet.flush(room.length);
      this.#filled = 0;
      if (state.finished) return at;
    }
  }
}

export function openIsalInflater(outlet: Outlet): Inflater {
  const state = STATES.take();
  state.restart();
  return new IsalInflater(outlet, state);
}

let works: boolean | undefined;

/**
 * Whether ISA-L is there and its struct is laid out as expected. Found by trying: a good member in pieces, then one
 * with a wrong checksum, which only fails where the checksum's flag is; then one that is cut, which must not look
 * finished.
 */
export function isalWorks(): boolean {
  works ??= IsalState.open() !== undefined && tryIsal();
  return works;
}

function tryIsal(): boolean {
  const plain = Buffer.from('tslayer '.repeat(64));
  const packed = zlib.gzipSync(plain);
  const wrong = Buffer.from(packed);
  wrong[wrong.length - 5]! ^= 1;
  try {
    return (
      run(plain, [packed.subarray(0, 15), packed.subarray(15), packed]).equals(Buffer.concat([plain, plain])) &&
      fails(() => run(plain, [wrong])) &&
      fails(() => run(plain, [packed.subarray(0, -1)]))
    );
  } catch {
    return false;
  }
}

function run(plain: Buffer, parts: readonly Buffer[]): Buffer {
  // Between threads bytes lie in such memory, which not every Node gives to foreign functions as it does other.
  const room = Buffer.from(new SharedArrayBuffer(100));
  const found: Buffer[] = [];
  const outlet = {
    room: () => room,
    flush: (length: number) => void found.push(Buffer.from(room.subarray(0, length))),
  };
  const inflater = openIsalInflater(outlet);
  for (const part of parts) inflater.write(part);
  inflater.end();
  return found.length > 2 * plain.length ? Buffer.alloc(0) : Buffer.concat(found);
}

function fails(action: () => void): boolean {
  try {
    action();
    return false;
  } catch {
    return true;
  }
}
