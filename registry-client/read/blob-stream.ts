/**
 * A blob as a stream that does not end before the blob does. When a connection breaks, stalls or loses its token, the
 * transfer goes on from the byte where it stopped, at the same endpoint or at the next one: content is named by its
 * digest, so any endpoint's bytes will do, and whoever writes them checks the digest.
 */
import { abortError, isTslayerError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { BlobStream } from '../client.ts';
import { type Endpoint, endpointName } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import { isUnreachable, joinFailures, type Router } from '../router.ts';
import { pullScope } from '../scopes.ts';
import { BodyReader } from '../transport/body-reader.ts';
import { discard, type HttpResponse } from '../transport/exchange.ts';
import { bytesToSkip } from './content-range.ts';

export interface BlobTransfer {
  readonly descriptor: Descriptor;
  /** The endpoints that may have it, in order. */
  readonly endpoints: readonly Endpoint[];
  /** First byte wanted. */
  readonly start: number;
  /** Byte after the last one wanted. */
  readonly end: number;
  readonly requester: Requester;
  readonly router: Router;
  readonly options: Omit<Effort, 'attempts'>;
}

/** An open body that stands at the wanted byte. */
interface Source {
  readonly endpoint: Endpoint;
  readonly reader: BodyReader;
  /** Bytes that come before the wanted one. */
  skip: number;
}

export class ResumingBlob implements BlobStream {
  readonly #transfer: BlobTransfer;
  readonly #what: string;
  #position: number;
  #candidate = 0;
  #source: Source | undefined;
  #closed = false;
  /** Failures since the blob last came a good way further. */
  #attempt = 0;
  #brokeAt: number;
  /** Failures at endpoints that were given up. */
  readonly #failures: unknown[] = [];

  constructor(transfer: BlobTransfer) {
    this.#transfer = transfer;
    this.#position = transfer.start;
    this.#brokeAt = transfer.start;
    this.#what = `cannot fetch the blob ${transfer.descriptor.digest}`;
  }

  get endpoint(): string {
    return endpointName(this.#source?.endpoint ?? this.#current());
  }

  #current(): Endpoint {
    return this.#transfer.endpoints[this.#candidate] as Endpoint;
  }

  /** Sends the first request, so that what is plainly wrong (not found, denied) is told before anything is set up. */
  async open(): Promise<this> {
    if (this.#position < this.#transfer.end) this.#source = await this.#connect();
    return this;
  }

  close(): void {
    this.#closed = true;
    this.#source?.reader.destroy();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal } = this.#transfer.options;
    const onAbort = (): void => this.#source?.reader.destroy();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      while (this.#position < this.#transfer.end) {
        this.#source ??= await this.#connect();
        try {
          yield* this.#drain(this.#source);
        } catch (error) {
          await this.#recover(error);
        }
      }
      await this.#expectEnd();
    } finally {
      signal?.removeEventListener('abort', onAbort);
      this.#drop();
    }
  }

  /** Opens a body at the position, at the first endpoint from the current one on that gives it. */
  async #connect(): Promise<Source> {
    for (;;) {
      try {
        return await this.#request(this.#current());
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** After a failure: waits for the next attempt here, or moves on to the next endpoint; throws when there is none. */
  async #recover(thrown: unknown): Promise<void> {
    const { requester, options } = this.#transfer;
    this.#drop();
    if (options.signal?.aborted) throw abortError(options.signal);
    if (this.#closed) throw new RegistryError('ABORTED', `${this.#what}: the stream was closed`);
    const cameFar = this.#position - this.#brokeAt >= requester.settings.retry.progressBytes;
    this.#attempt = cameFar ? 1 : this.#attempt + 1;
    this.#brokeAt = this.#position;
    const error = requester.asError(thrown, this.#what, this.#current());
    try {
      await requester.backOff(error, this.#attempt, this.#effort());
    } catch (final) {
      this.#next(final);
    }
  }

  /** Gives up the current endpoint; throws when it was the last one. */
  #next(error: unknown): void {
    const { signal } = this.#transfer.options;
    if (signal?.aborted || isTslayerError(error, 'ABORTED')) throw error;
    this.#failures.push(error);
    const isLast = this.#candidate === this.#transfer.endpoints.length - 1;
    if (isLast) throw joinFailures(this.#failures);
    if (isUnreachable(error)) this.#transfer.router.markUnreachable(this.#current());
    this.#candidate++;
    this.#attempt = 0;
  }

  #effort(): Effort {
    const { router, endpoints, options } = this.#transfer;
    return router.effort(options, this.#candidate === endpoints.length - 1);
  }

  async #request(endpoint: Endpoint): Promise<Source> {
    const { requester, descriptor, end } = this.#transfer;
    const start = this.#position;
    const response = await this.#ask(endpoint, start);
    try {
      const skip = bytesToSkip(response, start, end, descriptor.size, `${this.#what}: ${endpointName(endpoint)}`);
      return { endpoint, skip, reader: new BodyReader(response.body, requester.settings.timeouts.stallMs) };
    } catch (error) {
      response.body.destroy();
      throw error;
    }
  }

  async #ask(endpoint: Endpoint, start: number): Promise<HttpResponse> {
    const { requester, descriptor, end } = this.#transfer;
    // The attempts of a blob are counted here, not for each request anew.
    const effort = { ...this.#effort(), digest: descriptor.digest, attempts: 1 };
    const ask: Ask = {
      method: 'GET',
      path: `${endpoint.repository}/blobs/${descriptor.digest}`,
      scopes: [pullScope(endpoint)],
      expect: [200, 206],
      what: this.#what,
      channel: 'data',
    };
    if (start === 0 && end === descriptor.size) return await requester.send(endpoint, ask, effort);
    const range = `bytes=${start}-${end === descriptor.size ? '' : end - 1}`;
    const answer = await requester.send(endpoint, { ...ask, headers: { range }, expect: [200, 206, 416] }, effort);
    if (answer.status !== 416) return answer;
    // It does not know ranges, or its blob is shorter: the whole one tells which.
    await discard(answer);
    return await requester.send(endpoint, ask, effort);
  }

  async *#drain(source: Source): AsyncGenerator<Uint8Array, void, undefined> {
    const { end } = this.#transfer;
    while (this.#position < end) {
      const chunk = await source.reader.read();
      if (!chunk) throw this.#tooShort(source);
      const wanted = this.#wantedPart(source, chunk);
      if (wanted.length === 0) continue;
      this.#position += wanted.length;
      yield wanted;
    }
  }

  /** A server that ignored the range sends what is here already. */
  #wantedPart(source: Source, chunk: Buffer): Buffer {
    const skipped = Math.min(source.skip, chunk.length);
    source.skip -= skipped;
    const rest = skipped === 0 ? chunk : chunk.subarray(skipped);
    const room = this.#transfer.end - this.#position;
    if (rest.length <= room) return rest;
    // Of a whole blob this is the end; of a range it is the part that a server without ranges sends on top.
    if (this.#transfer.end === this.#transfer.descriptor.size) throw this.#tooLong();
    return rest.subarray(0, room);
  }

  /** Bytes after the last one mean that the blob is another one. */
  async #expectEnd(): Promise<void> {
    const source = this.#source;
    if (!source || this.#transfer.end < this.#transfer.descriptor.size) return;
    // All bytes are here: how the connection ends is not their business.
    const more = await source.reader.read().catch(() => undefined);
    if (more) throw this.#tooLong();
  }

  #tooShort(source: Source): RegistryError {
    const { descriptor } = this.#transfer;
    const message = `${this.#what}: ${endpointName(source.endpoint)} ended it at byte ${this.#position} of ${descriptor.size}`;
    return new RegistryError('SIZE_MISMATCH', message, { temporary: true });
  }

  #tooLong(): RegistryError {
    const { size } = this.#transfer.descriptor;
    return new RegistryError('SIZE_MISMATCH', `${this.#what}: ${this.endpoint} sends more than its ${size} bytes`);
  }

  #drop(): void {
    this.#source?.reader.destroy();
    this.#source = undefined;
  }
}
