/**
 * One blob on its way into a registry. Distribution Specification, "Pushing blobs": what is there is not sent, what is
 * elsewhere in the registry is mounted, a small blob goes in one request, a large one in chunks that can be resumed.
 */
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { nameOf } from '../../src/oci/reference.ts';
import type { PushOutcome, Repository, UploadSource } from '../client.ts';
import type { Endpoint } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { checkedLocation } from '../redirect.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import { pullScope, pushScope } from '../scopes.ts';
import { discard, type HttpResponse, type RequestBody } from '../transport/exchange.ts';
import type { Throttle } from '../transport/throttle.ts';

/** An upload as the registry sees it. */
interface Session {
  /** Where the next request goes; every answer may change it. */
  location: URL;
  /** Bytes that the registry has. */
  received: number;
  /** OCI-Chunk-Min-Length. */
  minChunk: number;
}

export class Upload {
  readonly #requester: Requester;
  readonly #endpoint: Endpoint;
  readonly #source: UploadSource;
  readonly #blob: Descriptor;
  readonly #effort: Effort;
  readonly #what: string;
  readonly #throttle: Throttle;

  constructor(
    requester: Requester,
    throttle: Throttle,
    endpoint: Endpoint,
    repository: Repository,
    source: UploadSource,
    effort: Effort,
  ) {
    this.#requester = requester;
    this.#throttle = throttle;
    this.#endpoint = endpoint;
    this.#source = source;
    this.#blob = source.descriptor;
    this.#effort = effort;
    this.#what = `cannot push the blob ${this.#blob.digest} to ${nameOf(repository)}`;
  }

  async run(mountFrom: readonly string[]): Promise<PushOutcome> {
    if (await this.#exists()) return 'exists';
    let session: Session | undefined;
    for (const from of mountFrom) {
      const mounted = await this.#mount(from);
      if (mounted === true) return 'mounted';
      session = mounted ?? session;
    }
    await this.#upload(session);
    return 'uploaded';
  }

  /** True when it worked; else the upload that the registry opened in its place, to be used and not left behind. */
  async #mount(from: string): Promise<true | Session | undefined> {
    const query = `?mount=${this.#blob.digest}&from=${encodeURIComponent(from)}`;
    try {
      const response = await this.#begin(query, [201, 202], from);
      if (response.status === 202) return await this.#sessionOf(response, 0);
      await discard(response);
      return true;
    } catch (error) {
      // No access to the other repository, or no mounts here: the blob can still be sent.
      if (error instanceof RegistryError && error.status !== undefined && !error.temporary) return undefined;
      throw error;
    }
  }

  async #exists(): Promise<boolean> {
    const path = `${this.#endpoint.repository}/blobs/${this.#blob.digest}`;
    const response = await this.#send({ method: 'HEAD', path, expect: [200, 404] });
    response.body.destroy();
    return response.status === 200;
  }

  #begin(query: string, expect: number[], from?: string): Promise<HttpResponse> {
    const scopes = [pushScope(this.#endpoint), ...(from === undefined ? [] : [pullScope({ repository: from })])];
    const path = `${this.#endpoint.repository}/blobs/uploads/${query}`;
    return this.#send({ method: 'POST', path, expect, scopes, body: EMPTY });
  }

  /** Sends the bytes; an upload that breaks is asked how far it came and goes on from there. */
  async #upload(begun: Session | undefined): Promise<void> {
    let session = begun;
    for (let attempt = 1; ; attempt++) {
      try {
        session ??= await this.#sessionOf(await this.#begin('', [202]), 0);
        await this.#transfer(session);
        return;
      } catch (thrown) {
        const error = this.#requester.asError(thrown, this.#what, this.#endpoint);
        const before = session?.received ?? 0;
        // A lost upload (404) or one that is out of step (416) starts anew, like a broken connection.
        const again = isLost(error)
          ? new RegistryError('NETWORK', error.message, { temporary: true, cause: error })
          : error;
        await this.#requester.backOff(again, attempt, this.#effort);
        session = session && (await this.#resume(session));
        if (session && session.received > before) attempt = 0;
      }
    }
  }

  /** How far a broken upload came; undefined when it must start anew. */
  async #resume(session: Session): Promise<Session | undefined> {
    try {
      const response = await this.#send({ method: 'GET', path: session.location, expect: [204, 200], once: true });
      const received = receivedBytes(response);
      return received === undefined || received > this.#blob.size
        ? undefined
        : await this.#sessionOf(response, received, session);
    } catch (error) {
      if (this.#effort.signal?.aborted) throw error;
      return undefined;
    }
  }

  async #transfer(session: Session): Promise<void> {
    const { limits } = this.#requester.settings;
    const { size } = this.#blob;
    if (size - session.received > limits.monolithicBytes || session.received > 0) {
      while (session.received < size) await this.#sendChunk(session, this.#chunkLength(session));
    }
    const location = new URL(session.location);
    location.searchParams.set('digest', this.#blob.digest);
    const body = this.#part(session.received, size - session.received);
    const headers = { 'content-type': 'application/octet-stream' };
    await discard(await this.#send({ method: 'PUT', path: location, expect: [201, 204], body, headers, once: true }));
    this.#report(size);
  }

  #chunkLength({ received, minChunk }: Session): number {
    const remaining = this.#blob.size - received;
    const { uploadChunkBytes } = this.#requester.settings.limits;
    return uploadChunkBytes === 0 ? remaining : Math.min(remaining, Math.max(uploadChunkBytes, minChunk));
  }

  async #sendChunk(session: Session, length: number): Promise<void> {
    const start = session.received;
    const response = await this.#send({
      method: 'PATCH',
      path: session.location,
      expect: [202, 204, 201],
      once: true,
      body: this.#part(start, length),
      headers: {
        'content-type': 'application/octet-stream',
        // A first request with everything is what every registry takes; the range says where a later one belongs.
        ...((start > 0 || length < this.#blob.size) && { 'content-range': `${start}-${start + length - 1}` }),
      },
    });
    const next = await this.#sessionOf(response, receivedBytes(response) ?? start + length, session);
    if (next.received <= start || next.received > start + length) {
      throw new RegistryError('NETWORK', `${this.#what}: the registry lost count of the upload`, { temporary: true });
    }
    Object.assign(session, next);
  }

  #part(start: number, length: number): RequestBody {
    return { length, open: () => (length === 0 ? nothing() : this.#counted(start, length)) };
  }

  async *#counted(start: number, length: number): AsyncGenerator<Uint8Array, void, undefined> {
    let position = start;
    const end = start + length;
    for await (const chunk of this.#source.open(start)) {
      const part = chunk.length > end - position ? chunk.subarray(0, end - position) : chunk;
      position += part.length;
      if (this.#throttle.active) await this.#throttle.take(part.length);
      yield part;
      this.#report(position);
      if (position === end) return;
    }
    if (position < end) throw new RegistryError('SIZE_MISMATCH', `${this.#what}: its source ended at byte ${position}`);
  }

  #report(bytes: number): void {
    this.#effort.onProgress?.({ type: 'transfer', digest: this.#blob.digest, bytes, total: this.#blob.size });
  }

  async #sessionOf(response: HttpResponse, received: number, previous?: Session): Promise<Session> {
    await discard(response);
    const location = response.header('location');
    if (location === undefined && !previous)
      throw new RegistryError('FAILED', `${this.#what}: no address to upload to`);
    const minChunk = Number(response.header('oci-chunk-min-length') ?? previous?.minChunk ?? 0);
    return {
      location:
        location === undefined && previous ? previous.location : checkedLocation(response, location ?? '', this.#what),
      received,
      minChunk: Number.isSafeInteger(minChunk) ? minChunk : 0,
    };
  }

  #send(
    ask: Partial<Ask> & Pick<Ask, 'method' | 'path' | 'expect'> & { readonly once?: boolean },
  ): Promise<HttpResponse> {
    const { once, ...rest } = ask;
    const whole: Ask = { scopes: [pushScope(this.#endpoint)], what: this.#what, channel: 'data', ...rest };
    // What carries a part of the blob is not repeated as it is: the upload asks first how far it came.
    return this.#requester.send(this.#endpoint, whole, once ? { ...this.#effort, attempts: 1 } : this.#effort);
  }
}

const EMPTY: RequestBody = { length: 0, open: nothing };

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

function isLost(error: unknown): error is RegistryError {
  return error instanceof RegistryError && (error.status === 404 || error.status === 416);
}

/** `Range: 0-N`, inclusive. `0-0` is both "one byte" and "nothing yet": the shorter reading costs one byte. */
function receivedBytes(response: HttpResponse): number | undefined {
  const match = /^(?:bytes=)?0-(-?\d{1,16})$/.exec(response.header('range')?.trim() ?? '');
  if (!match) return undefined;
  const last = Number(match[1]);
  return last <= 0 ? 0 : last + 1;
}
