/**
 * Intel's ISA-L where the machine has it (Debian's libisal2; Ceph and igzip bring it): it inflates half again as fast as
 * Node's zlib, and sums several times as fast. https://github.com/intel/isa-l, include/igzip_lib.h and crc.h.
 *
 * For inflating, the library works on a struct that its caller allocates. Offsets below are those of soname 2; nothing is taken on
 * trust: `inflate/isal.ts` tries them on samples, good and bad, before it believes them.
 */
import { existsSync } from 'node:fs';
import { koffi } from './koffi.ts';

/** By absolute path: what a search path or an environment variable offers is not asked. */
const PLACES = [
  `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libisal.so.2`,
  '/usr/lib64/libisal.so.2',
  '/usr/lib/libisal.so.2',
];

// struct inflate_state
const NEXT_OUT = 0;
const AVAIL_OUT = 8;
const NEXT_IN = 16;
const AVAIL_IN = 32;
// Behind two tables of codes: 4096 × 4 + 1264 × 2 and 1024 × 2 + 80 × 2 bytes.
const BLOCK_STATE = 40 + 18_912 + 2208;
const CRC_FLAG = BLOCK_STATE + 12;
const ISAL_BLOCK_FINISH = 5;
/** The stream begins behind its header and ends with a trailer, which is checked. */
const ISAL_GZIP_NO_HDR_VER = 6;
/** The struct has some 87 KiB. */
const STATE_SIZE = 256 * 1024;

interface Library {
  readonly init: (state: Uint8Array) => void;
  readonly inflate: (state: Uint8Array) => number;
  /** By address. */
  readonly crc32: (before: number, bytes: number, length: number) => number;
  /** memmove(3) of nothing: gives the address of its argument back. */
  readonly move: (to: Uint8Array, from: Uint8Array, length: number) => number | bigint;
}

let loaded: Library | null | undefined;

function load(): Library | null {
  const path = PLACES.find(existsSync);
  if (path === undefined) return null;
  try {
    const isal = koffi.load(path);
    return {
      init: isal.func('isal_inflate_init', 'void', ['void *']) as unknown as Library['init'],
      inflate: isal.func('isal_inflate', 'int', ['void *']) as unknown as Library['inflate'],
      crc32: isal.func('crc32_gzip_refl', 'uint32', ['uint32', 'uint64', 'uint64']) as unknown as Library['crc32'],
      move: koffi.load(null).func('memmove', 'uint64', ['void *', 'void *', 'size_t']) as unknown as Library['move'],
    };
  } catch {
    return null;
  }
}

function library(): Library | null {
  if (loaded === undefined) loaded = load();
  return loaded;
}

const addresses = new WeakMap<ArrayBufferLike, number>();

/** Where the bytes are. Buffers do not move once they have an ArrayBuffer, which asking for it gives them. */
function addressOf({ move }: Library, { buffer, byteOffset }: Uint8Array): number {
  let address = addresses.get(buffer);
  if (address === undefined) {
    // A view of all of it: Node 22 gives no SharedArrayBuffer itself to foreign functions.
    const whole = new Uint8Array(buffer);
    // Addresses of programs have 47 bits unless they ask for more: a number holds them.
    address = Number(move(whole, whole, 0));
    addresses.set(buffer, address);
  }
  return address + byteOffset;
}

/** zlib's crc32; undefined where the library is not there. */
export function isalCrc32(): ((bytes: Uint8Array, before: number) => number) | undefined {
  const isal = library();
  return isal === null ? undefined : (bytes, before) => isal.crc32(before, addressOf(isal, bytes), bytes.length);
}

/** One gzip member being inflated, and then the next. */
export class IsalState {
  readonly #library: Library;
  readonly #bytes = new Uint8Array(STATE_SIZE);
  readonly #view = new DataView(this.#bytes.buffer);

  /** Undefined where the library is not there. */
  static open(): IsalState | undefined {
    const isal = library();
    return isal === null ? undefined : new IsalState(isal);
  }

  private constructor(isal: Library) {
    this.#library = isal;
    this.restart();
  }

  /** Expects what follows a member's header next. */
  restart(): void {
    this.#library.init(this.#bytes);
    this.#view.setUint32(CRC_FLAG, ISAL_GZIP_NO_HDR_VER, true);
  }

  /** The member is whole, its checksum right. */
  get finished(): boolean {
    return this.#view.getUint32(BLOCK_STATE, true) === ISAL_BLOCK_FINISH;
  }

  get inputLeft(): number {
    return this.#view.getUint32(AVAIL_IN, true);
  }

  get outputLeft(): number {
    return this.#view.getUint32(AVAIL_OUT, true);
  }

  /** Inflates from `input[inputAt …)` into `output[outputAt …)`; 0, or a negative number when the bytes are bad. */
  inflate(input: Uint8Array, inputAt: number, output: Uint8Array, outputAt: number): number {
    const view = this.#view;
    view.setBigUint64(NEXT_IN, BigInt(addressOf(this.#library, input) + inputAt), true);
    view.setUint32(AVAIL_IN, input.length - inputAt, true);
    view.setBigUint64(NEXT_OUT, BigInt(addressOf(this.#library, output) + outputAt), true);
    view.setUint32(AVAIL_OUT, output.length - outputAt, true);
    return this.#library.inflate(this.#bytes);
  }
}
