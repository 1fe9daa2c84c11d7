/**
 * Several ranges of one blob at once, for links where one connection does not get what the line could give. It begins
 * as one plain stream. If that turns out slow (waiting for the reader does not count), what is left beyond a boundary
 * is fetched in segments by more connections, as many as bring more speed, and given in order. Segments wait in memory:
 * at most `rangesPerBlob` of them.
 */
import type { Limits } from '../options.ts';
import type { BlobSource, ResumingBlob } from './resuming-blob.ts';

/** Opens a reader for a part that fails where the server does not know ranges. */
export type OpenSegment = (start: number, end: number) => Promise<BlobSource>;

/** A connection this fast, bytes a second, is left alone. */
const FAST = 48 * 1024 * 1024;
const LARGEST_SEGMENT = 8 * 1024 * 1024;
/** The first stream goes on for about so long while the others begin. */
const AHEAD_S = 0.5;
/** More speed than this, as a factor, justifies another connection. */
const WORTH_IT = 1.15;

interface Segment {
  readonly source: BlobSource;
  readonly chunks: Uint8Array[];
  /** Resolves when everything is in `chunks`. */
  readonly loaded: Promise<void>;
}

export class ParallelBlob implements BlobSource {
  readonly #main: ResumingBlob;
  readonly #open: OpenSegment;
  readonly #size: number;
  readonly #limits: Limits;
  /** Milliseconds spent waiting for the network. */
  #waited = 0;
  #received = 0;
  #decided = false;
  #mainEnded = false;
  /** Where the next segment begins; the blob's size when there are none to come. */
  #next: number;
  #segments: Promise<Segment>[] = [];
  /** Connections at once, the main stream's among them. */
  #connections = 2;
  /** How many there were before the last change, to go back to. */
  #before = 1;
  #settled = false;
  readonly #meter = new Meter();

  constructor(main: ResumingBlob, open: OpenSegment, size: number, limits: Limits) {
    this.#main = main;
    this.#open = open;
    this.#size = size;
    this.#limits = limits;
    this.#next = size;
  }

  get endpoint(): string {
    return this.#main.endpoint;
  }

  async read(): Promise<Uint8Array | undefined> {
    if (!this.#mainEnded) {
      const chunk = await this.#readMain();
      if (chunk) return chunk;
      this.#mainEnded = true;
    }
    return await this.#readSegments();
  }

  async #readMain(): Promise<Uint8Array | undefined> {
    if (this.#decided) return this.#counted(await this.#main.read());
    const started = performance.now();
    const chunk = await this.#main.read();
    this.#waited += performance.now() - started;
    this.#received += chunk?.length ?? 0;
    if (this.#waited >= this.#limits.parallelProbeMs) await this.#decide();
    return chunk;
  }

  #counted(chunk: Uint8Array | undefined): Uint8Array | undefined {
    if (chunk) this.#meter.add(chunk.length);
    return chunk;
  }

  /** Once: whether the rest is worth more connections, and whether the server sends parts at all. */
  async #decide(): Promise<void> {
    this.#decided = true;
    const bytesPerSecond = (this.#received / this.#waited) * 1000;
    const segment = this.#segmentBytes();
    const boundary = this.#main.position + Math.max(segment, Math.ceil(bytesPerSecond * AHEAD_S));
    if (bytesPerSecond > FAST || this.#size - boundary < segment) return;
    this.#next = boundary;
    const first = this.#startSegment();
    try {
      await first;
    } catch {
      // No ranges here: the plain stream goes on alone.
      this.#next = this.#size;
      return;
    }
    this.#main.limitTo(boundary);
    this.#segments.push(first);
    this.#meter.begin(bytesPerSecond);
  }

  #segmentBytes(): number {
    return Math.min(LARGEST_SEGMENT, Math.ceil(this.#limits.parallelBytes / this.#limits.rangesPerBlob));
  }

  async #startSegment(): Promise<Segment> {
    const start = this.#next;
    this.#next = Math.min(this.#size, start + this.#segmentBytes());
    const source = await this.#open(start, this.#next);
    const chunks: Uint8Array[] = [];
    const loaded = this.#load(source, chunks);
    // Whoever reads the segment gets the error; until then it must not count as unhandled.
    loaded.catch(() => undefined);
    return { source, chunks, loaded };
  }

  async #load(source: BlobSource, chunks: Uint8Array[]): Promise<void> {
    for (let chunk = await source.read(); chunk; chunk = await source.read()) {
      chunks.push(chunk);
      this.#meter.add(chunk.length);
    }
    const factor = this.#meter.factor();
    if (factor !== undefined) this.#adapt(factor);
    this.#refill();
  }

  /** Twice as many as long as that brings speed, and one step back when it did not. */
  #adapt(factor: number): void {
    if (this.#settled) return;
    if (factor < WORTH_IT) {
      this.#connections = this.#before;
      this.#settled = true;
      return;
    }
    this.#before = this.#connections;
    this.#connections = Math.min(this.#connections * 2, this.#limits.rangesPerBlob);
  }

  #refill(): void {
    // A segment that waits to be read counts as well: it takes memory.
    const room = Math.max(1, this.#connections - (this.#mainEnded ? 0 : 1));
    while (this.#segments.length < room && this.#next < this.#size) {
      const segment = this.#startSegment();
      segment.catch(() => undefined);
      this.#segments.push(segment);
    }
  }

  async #readSegments(): Promise<Uint8Array | undefined> {
    for (;;) {
      this.#refill();
      const current = this.#segments[0];
      if (!current) return undefined;
      const segment = await current;
      const chunk = segment.chunks.shift();
      if (chunk) return chunk;
      // Waiting for the whole segment is simple, and costs nothing in the long run: the others load meanwhile.
      await segment.loaded;
      if (segment.chunks.length === 0) this.#segments.shift();
    }
  }

  close(): void {
    this.#main.close();
    this.#next = this.#size;
    for (const segment of this.#segments) segment.then(({ source }) => source.close()).catch(() => undefined);
  }
}

/** The speed of all connections together, compared with what it was before the last change. */
class Meter {
  #before = 0;
  #bytes = 0;
  #since = 0;

  begin(bytesPerSecond: number): void {
    this.#before = bytesPerSecond;
    this.#bytes = 0;
    this.#since = performance.now();
  }

  add(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Speed now by speed before, and a new measurement begins; undefined while it is too early to tell. */
  factor(): number | undefined {
    const seconds = (performance.now() - this.#since) / 1000;
    if (this.#since === 0 || seconds < 0.5) return undefined;
    const now = this.#bytes / seconds;
    const factor = now / this.#before;
    this.begin(now);
    return factor;
  }
}
