/** Inflates through the public zlib streams: the fallback for a Node whose internals have changed. */
import { once } from 'node:events';
import type { Transform } from 'node:stream';
import zlib from 'node:zlib';
import type { TslayerError } from '../../errors.ts';
import type { Compression } from './compression.ts';
import { Filler } from './filler.ts';
import type { Inflater, Outlet } from './inflater.ts';
import { cutShort, inflateError, MAX_WINDOW_LOG } from './problems.ts';
import { FrameWalker } from './zstd-frames.ts';

const CHUNK = 1 << 18;

/** One public stream: what is written comes out at the filler, before the promise is kept. */
class Drain {
  readonly #stream: Transform;
  #error: TslayerError | undefined;
  #wake: () => void = () => {};

  constructor(compression: Compression, filler: Filler) {
    this.#stream =
      compression === 'gzip'
        ? zlib.createGunzip({ chunkSize: CHUNK })
        : zlib.createZstdDecompress({
            chunkSize: CHUNK,
            params: { [zlib.constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG },
          });
    this.#stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#error ??= inflateError(compression, error.message, error.code ?? '');
    });
    this.#stream.on('close', () => this.#wake());
    this.#stream.on('data', (bytes: Buffer) => {
      try {
        filler.add(bytes);
      } catch (error) {
        // The outlet's own error (a full disk, a bad tar) must reach the writer, not the event loop.
        this.#stream.destroy();
        this.#error ??= error as TslayerError;
      }
    });
  }

  async write(input: Uint8Array): Promise<void> {
    // The callback comes when zlib is done with the chunk; after an error perhaps never, but then the stream closes.
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#stream.write(input, () => resolve());
    });
    if (this.#error !== undefined) throw this.#error;
  }

  async end(): Promise<void> {
    if (this.#error === undefined && !this.#stream.closed) {
      this.#stream.end();
      await once(this.#stream, 'close').catch(() => undefined);
    }
    if (this.#error !== undefined) throw this.#error;
  }

  close(): void {
    this.#stream.destroy();
  }
}

/** Members behind the first are Node's business. */
class GunzipStream implements Inflater {
  readonly #filler: Filler;
  readonly #drain: Drain;
  #empty = true;

  constructor(outlet: Outlet) {
    this.#filler = new Filler(outlet);
    this.#drain = new Drain('gzip', this.#filler);
  }

  write(input: Uint8Array): Promise<void> {
    if (input.length > 0) this.#empty = false;
    return this.#drain.write(input);
  }

  async end(): Promise<void> {
    if (this.#empty) throw cutShort('gzip');
    await this.#drain.end();
    this.#filler.flush();
  }

  close(): void {
    this.#drain.close();
  }
}

/** A stream for each frame, since Node's stops behind the first. */
class ZstdStream implements Inflater {
  readonly #filler: Filler;
  readonly #frames = new FrameWalker();
  #drain: Drain | undefined;

  constructor(outlet: Outlet) {
    this.#filler = new Filler(outlet);
  }

  async write(input: Uint8Array): Promise<void> {
    for (let at = 0; at < input.length; ) {
      const end = this.#frames.walk(input, at);
      this.#drain ??= new Drain('zstd', this.#filler);
      await this.#drain.write(input.subarray(at, end));
      at = end;
      if (!this.#frames.complete) continue;
      await this.#drain.end();
      this.#drain = undefined;
    }
  }

  async end(): Promise<void> {
    if (!this.#frames.complete) throw cutShort('zstd');
    this.#filler.flush();
  }

  close(): void {
    this.#drain?.close();
  }
}

export function openStreamInflater(compression: Compression, outlet: Outlet): Inflater {
  return compression === 'gzip' ? new GunzipStream(outlet) : new ZstdStream(outlet);
}
