/**
 * Reads a body chunk by chunk, as the parser made them: nothing is copied or joined, and a consumer that is slower
 * than the network pauses the socket. Silence counts as a stall only while somebody waits for a byte.
 */
import type { Readable } from 'node:stream';
import { Watchdog } from './watchdog.ts';

/** Bytes that may wait here for the consumer. */
const HIGH_WATER = 1024 * 1024;

export class BodyReader {
  readonly #body: Readable;
  readonly #watchdog: Watchdog;
  readonly #stallMs: number;
  #queue: Buffer[] = [];
  #next = 0;
  #queued = 0;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(body: Readable, stallMs: number) {
    this.#body = body;
    this.#stallMs = stallMs;
    this.#watchdog = new Watchdog((error) => body.destroy(error));
    body.on('data', (chunk: Buffer) => this.#push(chunk));
    body.on('end', () => this.#finish());
    body.on('error', (error) => this.#finish(error));
    // Destroyed without an error, or a server that hung up: not an end.
    body.on('close', () => this.#finish(Object.assign(new Error('closed early'), { code: 'ECONNRESET' })));
  }

  #push(chunk: Buffer): void {
    this.#queue.push(chunk);
    this.#queued += chunk.length;
    if (this.#queued >= HIGH_WATER) this.#body.pause();
    this.#wake?.();
  }

  #finish(error?: Error): void {
    if (this.#ended || this.#failure) return;
    if (error) this.#failure = error;
    else this.#ended = true;
    this.#wake?.();
  }

  /** The next chunk when it is here already: saves a turn of the microtask queue for most of a blob's chunks. */
  poll(): Buffer | undefined {
    const chunk = this.#queue[this.#next];
    if (chunk) this.#take(chunk);
    return chunk;
  }

  /** The next chunk, undefined at the end. Rejects when the body broke; chunks that came before are given first. */
  async read(): Promise<Buffer | undefined> {
    if (this.#next === this.#queue.length && !this.#ended && !this.#failure) await this.#wait();
    const chunk = this.poll();
    if (chunk) return chunk;
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  #take(chunk: Buffer): void {
    this.#next++;
    if (this.#next === this.#queue.length) {
      this.#queue = [];
      this.#next = 0;
    }
    this.#queued -= chunk.length;
    if (this.#queued < HIGH_WATER / 2 && this.#body.isPaused()) this.#body.resume();
  }

  async #wait(): Promise<void> {
    this.#watchdog.expect(this.#stallMs, 'no byte came');
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    this.#watchdog.stop();
  }

  /** Ends the transfer; a body that was read to its end leaves its connection usable. */
  destroy(): void {
    this.#watchdog.stop();
    this.#body.destroy();
  }
}
