/**
 * Inflates synchronously through the handle inside Node's zlib streams: `_handle.writeSync(flush, in, inOffset,
 * inLength, out, outOffset, outLength)` leaves what was not used in `_writeState`: [room left, input left]. So does
 * lib/zlib.js itself in its synchronous functions, since Node 11. Buffers may lie in shared memory.
 */
import zlib from 'node:zlib';
import type { TslayerError } from '../../errors.ts';
import type { Compression } from './compression.ts';
import type { Inflater, Outlet } from './inflater.ts';
import { cutShort, inflateError, MAX_WINDOW_LOG, trailingGarbage } from './problems.ts';
import { FrameWalker } from './zstd-frames.ts';

interface Handle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
  close(): void;
  onerror(message: string, errno: number, code: string): void;
}

const NOTHING = new Uint8Array(0);

/** Node's own stream opened up; undefined where it does not look as expected. */
function openUp(compression: Compression): { handle: Handle; state: Uint32Array } | undefined {
  const stream: { _handle?: Partial<Handle> | null; _writeState?: unknown } =
    compression === 'gzip'
      ? (zlib.createGunzip() as object)
      : (zlib.createZstdDecompress({ params: { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } }) as object);
  const { _handle: handle, _writeState: state } = stream;
  if (typeof handle?.writeSync !== 'function' || typeof handle.close !== 'function') return undefined;
  if (!(state instanceof Uint32Array) || state.length !== 2 || !('onerror' in handle)) return undefined;
  return { handle: handle as Handle, state };
}

class HandleInflater implements Inflater {
  readonly #compression: Compression;
  readonly #outlet: Outlet;
  readonly #handle: Handle;
  readonly #state: Uint32Array;
  readonly #finish: number;
  readonly #frames: FrameWalker | undefined;
  #filled = 0;
  #error: TslayerError | undefined;
  /** The compressed stream is over: only zeros may follow. */
  #over = false;
  #closed = false;

  constructor(compression: Compression, outlet: Outlet) {
    const opened = openUp(compression);
    if (opened === undefined) throw new TypeError('the zlib handle is not what it was');
    this.#compression = compression;
    this.#outlet = outlet;
    this.#handle = opened.handle;
    this.#state = opened.state;
    this.#finish = compression === 'gzip' ? zlib.constants.Z_FINISH : zlib.constants.ZSTD_e_end;
    this.#frames = compression === 'zstd' ? new FrameWalker() : undefined;
    this.#handle.onerror = (message, _errno, code) => {
      this.#error = inflateError(compression, message, code);
    };
  }

  write(input: Uint8Array): undefined {
    this.#frames?.feed(input);
    let at = this.#over ? 0 : this.#inflate(0, input);
    // A gzip member that is followed by a zero is not followed by another member: padding (of a tape, a sector).
    if (at < input.length) this.#over = true;
    for (; at < input.length; at++) if (input[at] !== 0) throw trailingGarbage(this.#compression);
  }

  end(): undefined {
    if (this.#frames !== undefined && !this.#frames.complete) throw cutShort(this.#compression);
    if (!this.#over) this.#inflate(this.#finish, NOTHING);
    if (this.#filled > 0) this.#outlet.flush(this.#filled);
    this.#filled = 0;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handle.close();
  }

  /** Inflates until the input is used up, or refused; the number of bytes used. */
  #inflate(flush: number, input: Uint8Array): number {
    const state = this.#state;
    let at = 0;
    for (;;) {
      const room = this.#outlet.room();
      const free = room.length - this.#filled;
      this.#handle.writeSync(flush, input, at, input.length - at, room, this.#filled, free);
      if (this.#error !== undefined) throw this.#error;
      const [roomLeft, inputLeft] = [state[0]!, state[1]!];
      const stuck = roomLeft === free && input.length - inputLeft === at;
      at = input.length - inputLeft;
      this.#filled = room.length - roomLeft;
      if (roomLeft === 0) {
        this.#outlet.flush(room.length);
        this.#filled = 0;
      } else if (inputLeft === 0 || stuck) return at;
    }
  }
}

export function openHandleInflater(compression: Compression, outlet: Outlet): Inflater {
  return new HandleInflater(compression, outlet);
}

let works: boolean | undefined;

/** Whether the handles do here what this file expects of them, found by trying. */
export function handlesWork(): boolean {
  works ??= (['gzip', 'zstd'] as const).every(tryHandle);
  return works;
}

function tryHandle(compression: Compression): boolean {
  const plain = Buffer.from('tslayer '.repeat(64));
  const packed = compression === 'gzip' ? zlib.gzipSync(plain) : zlib.zstdCompressSync(plain);
  const room = Buffer.alloc(100);
  const found: Buffer[] = [];
  const outlet = {
    room: () => room,
    flush: (length: number) => void found.push(Buffer.from(room.subarray(0, length))),
  };
  try {
    const inflater = openHandleInflater(compression, outlet);
    inflater.write(packed.subarray(0, 20));
    inflater.write(packed.subarray(20));
    inflater.end();
    inflater.close();
    return Buffer.concat(found).equals(plain);
  } catch {
    return false;
  }
}
