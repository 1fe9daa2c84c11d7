/**
 * One blob on its way into a registry. Distribution Specification, "Pushing blobs": what is there is not sent, what is
 * elsewhere in the registry is mounted, a small blob goes in one request, a large one in one that can be resumed, by this
 * process or, where somebody remembers it, by another.
 */
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { nameOf } from '../../src/oci/reference.ts';
import type { PushOutcome, Repository, UploadMemory, UploadSource } from '../client.ts';
import type { Endpoint } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import { pullScope, pushScope } from '../scopes.ts';
import { discard, type HttpResponse, type RequestBody } from '../transport/exchange.ts';
import type { Throttle } from '../transport/throttle.ts';
import { receivedBytes, sessionFrom, sessionOf, type UploadSession } from './upload-session.ts';

export interface UploadTarget {
  readonly endpoint: Endpoint;
  readonly repository: Repository;
  readonly source: UploadSource;
  readonly memory?: UploadMemory | undefined;
}

/** Times that the registry is asked for what another process began, which is hardly worth waiting for. */
const RECALL_ATTEMPTS = 2;

/** Tries without a byte of progress, each after the registry has answered how far it is, that make an upload useless. */
const STUCK_ATTEMPTS = 2;

export class Upload {
  readonly #requester: Requester;
  readonly #endpoint: Endpoint;
  readonly #source: UploadSource;
  readonly #blob: Descriptor;
  readonly #memory: UploadMemory | undefined;
  readonly #effort: Effort;
  readonly #what: string;
  readonly #throttle: Throttle;
  /** Broken requests leave nothing at the registry: a proxy before it waits until one is whole, as nginx does. */
  #heldBack = false;

  constructor(requester: Requester, throttle: Throttle, target: UploadTarget, effort: Effort) {
    this.#requester = requester;
    this.#throttle = throttle;
    this.#endpoint = target.endpoint;
    this.#source = target.source;
    this.#blob = target.source.descriptor;
    // What goes in one request cannot be resumed.
    this.#memory = this.#blob.size > requester.settings.limits.monolithicBytes ? target.memory : undefined;
    this.#effort = effort;
    this.#what = `cannot push the blob ${this.#blob.digest} to ${nameOf(target.repository)}`;
  }

  async run(mountFrom: readonly string[]): Promise<PushOutcome> {
    const outcome = (await this.#exists()) ? 'exists' : await this.#bring(mountFrom);
    this.#memory?.forget();
    return outcome;
  }

  async #bring(mountFrom: readonly string[]): Promise<PushOutcome> {
    const earlier = await this.#recall();
    let session: UploadSession | undefined;
    // Where nothing has arrived yet, a mount may save the rest.
    for (const from of earlier && earlier.received > 0 ? [] : mountFrom) {
      const mounted = await this.#mount(from);
      if (mounted === true) return 'mounted';
      session = mounted ?? session;
    }
    await this.#upload(session ?? earlier);
    return 'uploaded';
  }

  /** What another process began and the registry still has. A failure of any kind makes it a new upload. */
  async #recall(): Promise<UploadSession | undefined> {
    const earlier = this.#memory?.recall();
    const session = earlier && sessionFrom(earlier, this.#endpoint);
    if (!session) return undefined;
    try {
      return await this.#resume(session, { ...this.#effort, attempts: RECALL_ATTEMPTS });
    } catch (error) {
      if (this.#effort.signal?.aborted) throw error;
      return undefined;
    }
  }

  /** True when it worked; else the upload that the registry opened in its place, to be used and not left behind. */
  async #mount(from: string): Promise<true | UploadSession | undefined> {
    const query = `?mount=${this.#blob.digest}&from=${encodeURIComponent(from)}`;
    try {
      const response = await this.#begin(query, [201, 202], from);
      if (response.status === 202) return await sessionOf(response, 0, this.#what);
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
  async #upload(begun: UploadSession | undefined): Promise<void> {
    let session = begun;
    for (let attempt = 1; ; attempt++) {
      try {
        session ??= await sessionOf(await this.#begin('', [202]), 0, this.#what);
        await this.#transfer(session);
        return;
      } catch (thrown) {
        const error = this.#requester.asError(thrown, this.#what, this.#endpoint);
        const before = session?.received ?? 0;
        await this.#requester.backOff(isLost(error, session) ? broken(error) : error, attempt, this.#effort);
        if (isSpoilt(error) || attempt >= STUCK_ATTEMPTS) session = undefined;
        session &&= await this.#resume(session, this.#effort);
        if (session && session.received > before) attempt = 0;
      }
    }
  }

  /** How far a broken upload came; undefined when it must start anew. Throws when nobody answers. */
  async #resume(session: UploadSession, effort: Effort): Promise<UploadSession | undefined> {
    try {
      const response = await this.#send({ method: 'GET', path: session.location, expect: [204, 200] }, effort);
      const received = receivedBytes(response);
      const now = await sessionOf(response, received ?? 0, this.#what, session);
      this.#heldBack ||= received === 0;
      return received === undefined || received > this.#blob.size ? undefined : { ...now, resumed: received > 0 };
    } catch (error) {
      // An answer, whatever it says: this upload is no more. Without one, it may still be there.
      if (error instanceof RegistryError && error.status !== undefined) return undefined;
      throw error;
    }
  }

  async #transfer(session: UploadSession): Promise<void> {
    const { limits } = this.#requester.settings;
    const { size } = this.#blob;
    this.#keep(session);
    if (size - session.received > limits.monolithicBytes || session.received > 0) {
      while (session.received < size) await this.#sendChunk(session, this.#chunkLength(session));
    }
    const location = new URL(session.location);
    location.searchParams.set('digest', this.#blob.digest);
    const body = this.#part(session.received, size - session.received);
    const headers = { 'content-type': 'application/octet-stream' };
    await discard(await this.#sendOnce({ method: 'PUT', path: location, expect: [201, 204], body, headers }));
    this.#report(size);
  }

  #keep({ location }: UploadSession): void {
    this.#memory?.keep({ endpoint: this.#endpoint.root, location: location.href });
  }

  #chunkLength({ received, minChunk }: UploadSession): number {
    const remaining = this.#blob.size - received;
    const { uploadChunkBytes, brokenUploadChunkBytes } = this.#requester.settings.limits;
    const wanted = uploadChunkBytes === 0 && this.#heldBack ? brokenUploadChunkBytes : uploadChunkBytes;
    return wanted === 0 ? remaining : Math.min(remaining, Math.max(wanted, minChunk));
  }

  async #sendChunk(session: UploadSession, length: number): Promise<void> {
    const start = session.received;
    const response = await this.#sendOnce({
      method: 'PATCH',
      path: session.location,
      expect: [202, 204, 201],
      body: this.#part(start, length),
      headers: {
        'content-type': 'application/octet-stream',
        // A first request with everything is what every registry takes; the range says where a later one belongs.
        ...((start > 0 || length < this.#blob.size) && { 'content-range': `${start}-${start + length - 1}` }),
      },
    });
    const next = await sessionOf(response, receivedBytes(response) ?? start + length, this.#what, session);
    if (next.received <= start || next.received > start + length) {
      throw new RegistryError('NETWORK', `${this.#what}: the registry lost count of the upload`, { temporary: true });
    }
    Object.assign(session, next);
    this.#keep(session);
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

  #send(
    ask: Partial<Ask> & Pick<Ask, 'method' | 'path' | 'expect'>,
    effort: Effort = this.#effort,
  ): Promise<HttpResponse> {
    const whole: Ask = { scopes: [pushScope(this.#endpoint)], what: this.#what, channel: 'data', ...ask };
    return this.#requester.send(this.#endpoint, whole, effort);
  }

  /** What carries a part of the blob is not repeated as it is: the upload is asked first how far it came. */
  #sendOnce(ask: Partial<Ask> & Pick<Ask, 'method' | 'path' | 'expect'>): Promise<HttpResponse> {
    return this.#send(ask, { ...this.#effort, attempts: 1 });
  }
}

const EMPTY: RequestBody = { length: 0, open: nothing };

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

/** The registry knows it no more, or is out of step with it: also because another request is still at it (409). */
function isLost(error: unknown, session: UploadSession | undefined): error is RegistryError {
  if (!(error instanceof RegistryError)) return false;
  if (error.status === 404 || error.status === 416) return true;
  return session?.resumed === true && (error.status === 409 || isSpoilt(error));
}

/** What an earlier request left is not what it should be. */
function isSpoilt(error: unknown): boolean {
  return error instanceof RegistryError && error.status === 400;
}

/** Like a connection that broke: worth another try. */
function broken(error: RegistryError): RegistryError {
  return new RegistryError('NETWORK', error.message, { temporary: true, cause: error });
}
