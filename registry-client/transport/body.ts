/**
 * An answer's body, chunk by chunk as the connection gave it: nothing is copied or joined, and a consumer that is slower
 * than the network pauses the connection. Silence counts as a stall only while somebody waits for a byte.
 */
import type { Readable } from 'node:stream';
import { Watchdog } from './watchdog.ts';

export interface Body {
  /** The next chunk when it is here already: saves a turn of the microtask queue for most chunks of a blob. */
  poll(): Buffer | undefined;
  /** The next chunk, undefined at the end. Rejects when the body broke; chunks that came before are given first. */
  read(): Promise<Buffer | undefined>;
  /** Ends the transfer. A body that was read to its end leaves its connection usable. */
  destroy(): void;
}

/** What a queue does to its connection. */
export interface Flow {
  pause(): void;
  resume(): void;
  destroy(error?: Error): void;
}

/** Bytes that may wait for the consumer. */
const HIGH_WATER = 1024 * 1024;

/** Chunks between a connection that pushes them and a consumer that pulls them. */
export class ChunkQueue implements Body {
  readonly #flow: Flow;
  readonly #stallMs: number;
  readonly #watchdog: Watchdog;
  readonly #onDone: ((chunk: Buffer) => void) | undefined;
  /** The chunk given last. */
  #given: Buffer | undefined;
  #chunks: Buffer[] = [];
  #next = 0;
  #bytes = 0;
  #paused = false;
  #ended = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** @param onDone told of each chunk when the next one is asked for: its memory may be used again */
  constructor(flow: Flow, stallMs: number, onDone?: (chunk: Buffer) => void) {
    this.#flow = flow;
    this.#onDone = onDone;
    this.#stallMs = stallMs;
    this.#watchdog = new Watchdog((error) => {
      this.finish(error);
      flow.destroy(error);
    });
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= HIGH_WATER && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#wake?.();
  }

  /** The end, good or bad; the first one counts. */
  finish(error?: Error): void {
    if (this.#ended || this.#failure) return;
    if (error) this.#failure = error;
    else this.#ended = true;
    this.#wake?.();
  }

  poll(): Buffer | undefined {
    this.#giveBack();
    const chunk = this.#chunks[this.#next];
    if (!chunk) return undefined;
    this.#next++;
    if (this.#next === this.#chunks.length) {
      this.#chunks = [];
      this.#next = 0;
    }
    this.#bytes -= chunk.length;
    // After the end the connection may serve another request: its flow is not ours any more.
    if (this.#paused && !this.#ended && this.#bytes < HIGH_WATER / 2) {
      this.#paused = false;
      this.#flow.resume();
    }
    this.#given = chunk;
    return chunk;
  }

  #giveBack(): void {
    if (this.#given === undefined || this.#onDone === undefined) return;
    this.#onDone(this.#given);
    this.#given = undefined;
  }

  async read(): Promise<Buffer | undefined> {
    const ready = this.poll();
    if (ready) return ready;
    if (!this.#ended && !this.#failure) await this.#wait();
    const chunk = this.poll();
    if (chunk) return chunk;
    if (this.#failure) throw this.#failure;
    return undefined;
  }

  async #wait(): Promise<void> {
    this.#watchdog.expect(this.#stallMs, 'no byte came');
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    this.#watchdog.stop();
  }

  destroy(): void {
    this.#watchdog.stop();
    if (!this.#ended) this.#flow.destroy();
    this.finish(CLOSED);
  }
}

const CLOSED = new Error('the body was closed');

/** A node stream as a body. */
export function streamBody(stream: Readable, stallMs: number): Body {
  const queue = new ChunkQueue(
    {
      pause: () => void stream.pause(),
      resume: () => void stream.resume(),
      destroy: (error) => void stream.destroy(error),
    },
    stallMs,
  );
  stream.on('data', (chunk: Buffer) => queue.push(chunk));
  stream.on('end', () => queue.finish());
  stream.on('error', (error) => queue.finish(error));
  // A server that hung up: not an end.
  stream.on('close', () => queue.finish(Object.assign(new Error('closed early'), { code: 'ECONNRESET' })));
  return queue;
}
