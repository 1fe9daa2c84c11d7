/**
 * Standard output and standard error. Node's own stream for one of them takes a start 3 ms to load, more than most
 * commands have to say: to a file or a pipe a few lines are written as they are.
 */
import { fstatSync, writeSync } from 'node:fs';

/** A full pipe makes its writer wait, and a process that waits in write(2) hears no signal: most pipes take 64 KiB. */
const MOST_TO_PIPE = 16 * 1024;
/** Character devices of the kernel's memory: /dev/null, /dev/full. */
const MEMORY_DEVICES = 1;

export class StandardStream {
  /** Called when something could not be written. */
  onError: (error: NodeJS.ErrnoException) => void = () => undefined;
  readonly #fd: 1 | 2;
  /** Bytes that may still be written directly; Node's stream does the rest. */
  #direct: number | undefined;
  #stream: NodeJS.WriteStream | undefined;

  constructor(fd: 1 | 2) {
    this.#fd = fd;
  }

  get isTerminal(): boolean {
    return this.#left() === 0 && this.stream.isTTY === true;
  }

  /** Node's, for those who wait until it drains, or ask for the size of a terminal. */
  get stream(): NodeJS.WriteStream {
    if (this.#stream === undefined) {
      this.#stream = this.#fd === 1 ? process.stdout : process.stderr;
      this.#stream.on('error', (error) => this.onError(error));
      this.#direct = 0;
    }
    return this.#stream;
  }

  /** False when the caller had better wait for the stream's `drain`. */
  write(data: string | Uint8Array): boolean {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    const left = this.#left();
    if (bytes.length > left) return this.stream.write(bytes);
    this.#direct = left - bytes.length;
    try {
      for (let done = 0; done < bytes.length; ) done += this.#writeSome(bytes.subarray(done));
    } catch (error) {
      this.onError(error as NodeJS.ErrnoException);
    }
    return true;
  }

  /**
   * Resolves when everything is written, or cannot be. Node writes to pipes as its reader takes it, and the end of the
   * process takes what is left along.
   */
  async flushed(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined || stream.writableLength === 0) return;
    await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }

  /** The bytes that were written; all of them when Node's stream has taken over from a pipe that does not wait. */
  #writeSome(bytes: Uint8Array): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      this.stream.write(bytes);
      return bytes.length;
    }
  }

  #left(): number {
    if (this.#direct === undefined) {
      const stats = fstatSync(this.#fd);
      const isMemory = stats.isCharacterDevice() && stats.rdev >> 8 === MEMORY_DEVICES;
      if (stats.isFile() || isMemory) this.#direct = Number.POSITIVE_INFINITY;
      // What Node calls a pipe to a child is a pair of sockets.
      else this.#direct = stats.isFIFO() || stats.isSocket() ? MOST_TO_PIPE : 0;
    }
    return this.#direct;
  }
}

export const out: StandardStream = new StandardStream(1);
export const err: StandardStream = new StandardStream(2);

/** Standard output for a library that writes to Node's streams, both: what fails there is still told here. */
export function ownStreams(): NodeJS.WriteStream {
  void err.stream;
  return out.stream;
}
