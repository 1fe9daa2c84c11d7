/**
 * Reads a blob, or a part of it, to the end. When a connection breaks, stalls or loses its token, the transfer goes on
 * from the byte where it stopped, at the same endpoint or at the next one: content is named by its digest, so any
 * endpoint's bytes will do, and whoever writes them checks the digest.
 */
import { abortError } from '../../src/errors.ts';
import type { EndpointChain } from '../chain.ts';
import { endpointName } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Effort, Requester } from '../requester.ts';
import { type OpenPart, type Part, requestPart } from './range-request.ts';

/** Something that gives a blob's bytes in order. */
export interface BlobSource {
  readonly endpoint: string;
  /** The next bytes, undefined after the last one. */
  read(): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface BlobTransfer extends Part {
  /** The endpoints that may have it. */
  readonly chain: EndpointChain;
  readonly requester: Requester;
  readonly options: Omit<Effort, 'attempts'>;
}

export class ResumingBlob implements BlobSource {
  readonly #transfer: BlobTransfer;
  readonly #what: string;
  #position: number;
  #end: number;
  #open: OpenPart | undefined;
  #closed = false;
  /** Failures since the blob last came a good way further. */
  #attempt = 0;
  #brokeAt: number;

  constructor(transfer: BlobTransfer) {
    this.#transfer = transfer;
    this.#position = transfer.start;
    this.#end = transfer.end;
    this.#brokeAt = transfer.start;
    this.#what = `cannot fetch the blob ${transfer.descriptor.digest}`;
  }

  get endpoint(): string {
    return endpointName(this.#open?.endpoint ?? this.#transfer.chain.current);
  }

  /** The next byte that `read` gives. */
  get position(): number {
    return this.#position;
  }

  /** Sends the first request, so that what is plainly wrong (not found, denied) is told before anything is set up. */
  async open(): Promise<this> {
    if (this.#position < this.#end) this.#open = await this.#connect();
    return this;
  }

  /** Ends earlier than was planned: somebody else reads what follows. */
  limitTo(end: number): void {
    this.#end = end;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  async read(): Promise<Uint8Array | undefined> {
    while (this.#position < this.#end) {
      this.#open ??= await this.#connect();
      try {
        const bytes = await this.#next(this.#open);
        if (bytes.length === 0) continue;
        this.#position += bytes.length;
        return bytes;
      } catch (error) {
        await this.#recover(error);
      }
    }
    await this.#expectEnd();
    this.#drop();
    return undefined;
  }

  /** The wanted bytes of the next chunk; none when they were all before the position. */
  async #next(open: OpenPart): Promise<Uint8Array> {
    const chunk = open.body.poll() ?? (await open.body.read());
    if (!chunk) throw this.#tooShort(open);
    // A server that ignored the range sends what is here already.
    const skipped = Math.min(open.skip, chunk.length);
    open.skip -= skipped;
    const rest = skipped === 0 ? chunk : chunk.subarray(skipped);
    const room = this.#end - this.#position;
    if (rest.length <= room) return rest;
    if (this.#end === this.#transfer.descriptor.size) throw this.#tooLong();
    return rest.subarray(0, room);
  }

  /** Opens a body at the position, at the first endpoint from the current one on that gives it. */
  async #connect(): Promise<OpenPart> {
    const { requester, chain, options, descriptor, rangesOnly = false, transient = false } = this.#transfer;
    for (;;) {
      // The attempts of a blob are counted here, not for each request anew.
      const effort = { ...options, attempts: 1 };
      const part = { descriptor, start: this.#position, end: this.#end, rangesOnly, transient };
      try {
        return await requestPart(requester, chain.current, part, effort);
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  /** After a failure: waits for the next attempt here, or moves on to the next endpoint; throws when there is none. */
  async #recover(thrown: unknown): Promise<void> {
    const { requester, chain, options } = this.#transfer;
    this.#drop();
    if (options.signal?.aborted) throw abortError(options.signal);
    if (this.#closed) throw new RegistryError('ABORTED', `${this.#what}: the stream was closed`);
    const cameFar = this.#position - this.#brokeAt >= requester.settings.retry.progressBytes;
    this.#attempt = cameFar ? 1 : this.#attempt + 1;
    this.#brokeAt = this.#position;
    const error = requester.asError(thrown, this.#what, chain.current);
    try {
      await requester.backOff(error, this.#attempt, chain.effort(options));
    } catch (final) {
      chain.advance(final, options.signal);
      this.#attempt = 0;
    }
  }

  /** Bytes after the last one mean that the blob is another one. */
  async #expectEnd(): Promise<void> {
    if (!this.#open || this.#end < this.#transfer.descriptor.size) return;
    // All bytes are here: how the connection ends is not their business.
    const more = await this.#open.body.read().catch(() => undefined);
    if (more) throw this.#tooLong();
  }

  #tooShort(open: OpenPart): RegistryError {
    const place = `${endpointName(open.endpoint)} ended it at byte ${this.#position} of ${this.#transfer.descriptor.size}`;
    return new RegistryError('SIZE_MISMATCH', `${this.#what}: ${place}`, { temporary: true });
  }

  #tooLong(): RegistryError {
    const { size } = this.#transfer.descriptor;
    return new RegistryError('SIZE_MISMATCH', `${this.#what}: ${this.endpoint} sends more than its ${size} bytes`);
  }

  #drop(): void {
    this.#open?.body.destroy();
    this.#open = undefined;
  }
}
