/**
 * Follows the frames of a zstd stream without decoding them (RFC 8878, 3.1). Node's decoder stops silently behind
 * the first frame, so that someone must know where frames end; and an end in the middle of one must be seen.
 */
import { TslayerError } from '../../errors.ts';
import { MAX_WINDOW_LOG } from './problems.ts';

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

// What the header bytes being collected are.
const MAGIC_NUMBER = 0;
const DESCRIPTOR = 1;
const FRAME_HEADER = 2;
const BLOCK_HEADER = 3;
const CHECKSUM = 4;
const SKIP_SIZE = 5;

export class FrameWalker {
  #state = MAGIC_NUMBER;
  readonly #collected = new Uint8Array(16);
  #have = 0;
  #need = 4;
  /** Content to step over. */
  #step = 0;
  #descriptor = 0;
  #lastBlock = false;
  #started = false;

  /** Whether the bytes so far end with a frame, of which there was at least one. */
  get complete(): boolean {
    return this.#started && this.#between;
  }

  get #between(): boolean {
    return this.#state === MAGIC_NUMBER && this.#have === 0 && this.#step === 0;
  }

  /** Walks over `bytes` from `at`. Stops behind the end of a frame and returns where; else the length of `bytes`. */
  walk(bytes: Uint8Array, at: number): number {
    while (at < bytes.length) {
      if (this.#step > 0) {
        const take = Math.min(this.#step, bytes.length - at);
        this.#step -= take;
        at += take;
      } else {
        this.#collected[this.#have++] = bytes[at++]!;
        if (this.#have === this.#need) this.#advance();
      }
      if (this.#between) return at;
    }
    return at;
  }

  /** Walks over all of `bytes`. */
  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at = this.walk(bytes, at);
  }

  #expect(state: number, need: number): void {
    this.#state = state;
    this.#need = need;
    this.#have = 0;
  }

  #little(length: number): number {
    let value = 0;
    for (let i = length - 1; i >= 0; i--) value = value * 256 + this.#collected[i]!;
    return value;
  }

  #advance(): void {
    switch (this.#state) {
      case MAGIC_NUMBER:
        this.#magic(this.#little(4));
        return;
      case DESCRIPTOR:
        this.#descriptor = this.#collected[0]!;
        this.#frameHeader();
        return;
      case FRAME_HEADER:
        this.#checkWindow();
        this.#expect(BLOCK_HEADER, 3);
        return;
      case BLOCK_HEADER:
        this.#block(this.#little(3));
        return;
      case CHECKSUM:
        this.#expect(MAGIC_NUMBER, 4);
        return;
      default: {
        this.#step = this.#little(4);
        this.#expect(MAGIC_NUMBER, 4);
      }
    }
  }

  #magic(magic: number): void {
    this.#started = true;
    if (magic === MAGIC) this.#expect(DESCRIPTOR, 1);
    else if ((magic & 0xfffffff0) === SKIPPABLE) this.#expect(SKIP_SIZE, 4);
    else throw new TslayerError('MALFORMED', 'layer: zstd: no frame where one should begin');
  }

  get #singleSegment(): boolean {
    return (this.#descriptor & 0x20) !== 0;
  }

  #frameHeader(): void {
    const dictionary = [0, 1, 2, 4][this.#descriptor & 3]!;
    const contentSize = [this.#singleSegment ? 1 : 0, 2, 4, 8][this.#descriptor >> 6]!;
    const window = this.#singleSegment ? 0 : 1;
    this.#expect(FRAME_HEADER, window + dictionary + contentSize);
  }

  /** Refuses a window that the decoder would have to allocate; a single segment's is its content's size. */
  #checkWindow(): void {
    if (this.#singleSegment) return;
    const exponent = 10 + (this.#collected[0]! >> 3);
    const window = 2 ** exponent * (1 + (this.#collected[0]! & 7) / 8);
    if (window > 2 ** MAX_WINDOW_LOG) {
      throw new TslayerError('LIMIT_EXCEEDED', `layer: zstd: a window of ${window / 2 ** 20} MiB`);
    }
  }

  #block(header: number): void {
    this.#lastBlock = (header & 1) === 1;
    const type = (header >> 1) & 3;
    if (type === 3) throw new TslayerError('MALFORMED', 'layer: zstd: a reserved block type');
    this.#step = type === 1 ? 1 : header >> 3;
    if (!this.#lastBlock) this.#expect(BLOCK_HEADER, 3);
    else if (this.#descriptor & 4) this.#expect(CHECKSUM, 4);
    else this.#expect(MAGIC_NUMBER, 4);
  }
}
