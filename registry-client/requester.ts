/**
 * Asks one endpoint for one thing: authorization, redirects and retries are over when `send` returns. The layers, from
 * the outside: retry → authorize → follow redirects → one exchange.
 */
import { abortError, type TslayerError, throwIfAborted } from '../src/errors.ts';
import type { Digest } from '../src/oci/digest.ts';
import type { OperationOptions } from '../src/progress.ts';
import type { Authorizer } from './auth/authorizer.ts';
import { type Endpoint, endpointName, originOf } from './endpoint.ts';
import { RegistryError, statusError, transportError } from './errors.ts';
import type { Health } from './health.ts';
import type { Notices } from './notices.ts';
import type { Settings } from './options.ts';
import { redirectTarget } from './redirect.ts';
import { delayBeforeRetry, parseRetryAfter, pause } from './retry.ts';
import {
  discard,
  type Exchange,
  type HttpRequest,
  type HttpResponse,
  type RequestBody,
  readBounded,
} from './transport/exchange.ts';
import type { Secrets } from './transport/secrets.ts';
import { said } from './wire-errors.ts';

export interface Ask {
  readonly method: HttpRequest['method'];
  /** Below the API's root, as in `library/alpine/tags/list?n=100`; or a whole address that the registry gave. */
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** Token scopes: `repository:library/alpine:pull`. */
  readonly scopes: readonly string[];
  /** Statuses that are an answer; all others are errors. */
  readonly expect: readonly number[];
  /** What fails when it fails: `cannot fetch the manifest of alpine`. */
  readonly what: string;
  /** `data` for what a pull asks for and for uploads (direct connections, node:http), `api` for the rest (node-fetch). */
  readonly channel: 'api' | 'data';
  /** See HttpRequest. */
  readonly transient?: boolean | undefined;
}

export interface Effort extends OperationOptions {
  /** Tries altogether. */
  readonly attempts: number;
  /** Tries when nothing answers at all, where that may mean the wrong scheme. */
  readonly silentAttempts?: number;
  /** For progress events. */
  readonly digest?: Digest;
}

export interface RequesterParts {
  readonly settings: Settings;
  readonly data: Exchange;
  readonly api: Exchange;
  readonly authorizer: Authorizer;
  readonly secrets: Secrets;
  readonly notices: Notices;
  readonly health: Health;
  readonly isPublic: (origin: string) => boolean;
}

/** Answers to a challenge that are tried: with a token, and with the wider scope that the second 401 asks for. */
const MAX_CHALLENGES = 2;

export class Requester {
  readonly settings: Settings;
  readonly #parts: RequesterParts;

  constructor(parts: RequesterParts) {
    this.settings = parts.settings;
    this.#parts = parts;
  }

  /** The wanted answer; its body must be read or destroyed. Throws RegistryError when the tries are used up. */
  async send(endpoint: Endpoint, ask: Ask, effort: Effort): Promise<HttpResponse> {
    return await this.sendAndUse(endpoint, ask, effort, async (response) => response);
  }

  /** As `send`; what `use` does with the answer belongs to the attempt: a body that breaks off is asked for again. */
  async sendAndUse<T>(
    endpoint: Endpoint,
    ask: Ask,
    effort: Effort,
    use: (response: HttpResponse) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await use(await this.#once(endpoint, ask, effort));
      } catch (thrown) {
        await this.backOff(this.asError(thrown, ask.what, endpoint), attempt, effort);
      }
    }
  }

  /** Any thrown value as an error that says where it happened. */
  asError(thrown: unknown, what: string, endpoint: Endpoint): TslayerError {
    return transportError(what, endpointName(endpoint), thrown);
  }

  /** Waits for the next attempt, or throws the error when there is none. */
  async backOff(error: unknown, attempt: number, effort: Effort): Promise<void> {
    if (effort.signal?.aborted) throw abortError(effort.signal);
    const silent = error instanceof RegistryError && error.status === undefined;
    const attempts = Math.min(effort.attempts, (silent && effort.silentAttempts) || effort.attempts);
    const delayMs = delayBeforeRetry(error, attempt, attempts, this.settings.retry);
    if (delayMs === undefined) throw error;
    const { digest } = effort;
    const reason = error instanceof Error ? error.message : 'unknown';
    effort.onProgress?.({ type: 'retry', ...(digest !== undefined && { digest }), attempt, delayMs, reason });
    await pause(delayMs, effort.signal);
  }

  async #once(endpoint: Endpoint, ask: Ask, effort: Effort): Promise<HttpResponse> {
    throwIfAborted(effort.signal);
    const response = await this.#authorized(endpoint, ask, effort);
    // TLS servers answer plain HTTP with 400: that is no sign of life on this scheme.
    if (response.status !== 400) this.#parts.health.markAnswered(endpoint);
    this.#parts.notices.note(endpoint, response, effort.onProgress);
    if (ask.expect.includes(response.status)) return response;
    throw await this.#refusal(endpoint, ask, response);
  }

  async #authorized(endpoint: Endpoint, ask: Ask, effort: Effort): Promise<HttpResponse> {
    if (endpoint.foreign) return await this.#follow(endpoint, ask, undefined, effort);
    const { authorizer } = this.#parts;
    const origin = originOf(endpoint);
    let authorization = await authorizer.initial(endpoint, ask.scopes, effort.signal);
    for (let challenges = 0; ; challenges++) {
      const response = await this.#follow(endpoint, ask, authorization, effort);
      // A challenge from where a redirect led is not ours to answer.
      if (response.status !== 401 || response.url.origin !== origin || challenges === MAX_CHALLENGES) return response;
      const header = response.header('www-authenticate');
      const next = await authorizer.answer(endpoint, header, ask.scopes, authorization, effort.signal);
      if (next === undefined) return response;
      await discard(response);
      authorization = next;
    }
  }

  async #follow(
    endpoint: Endpoint,
    ask: Ask,
    authorization: string | undefined,
    effort: Effort,
  ): Promise<HttpResponse> {
    const origin = originOf(endpoint);
    let url = addressOf(endpoint, ask.path);
    for (let hops = 0; ; hops++) {
      const home = url.origin === origin && !endpoint.foreign;
      const response = await this.#exchange(ask)({
        method: ask.method,
        url,
        headers: this.#headers(endpoint, ask, home ? authorization : undefined, home),
        body: ask.body,
        connection: home ? endpoint.connection : {},
        guarded: !home && this.#parts.isPublic(endpoint.foreign?.registryOrigin ?? origin),
        transient: ask.transient,
        signal: effort.signal,
      });
      const target = redirectTarget(response, ask, hops, this.settings.limits.redirects);
      if (!target) return response;
      await discard(response);
      url = target;
    }
  }

  #exchange(ask: Ask): Exchange {
    return ask.channel === 'data' ? this.#parts.data : this.#parts.api;
  }

  /** Configured headers may hold secrets: like Authorization they stay at home. */
  #headers(endpoint: Endpoint, ask: Ask, authorization: string | undefined, home: boolean): Record<string, string> {
    return {
      'user-agent': this.settings.userAgent,
      ...(home && endpoint.headers),
      ...ask.headers,
      ...(authorization !== undefined && { authorization }),
    };
  }

  async #refusal(endpoint: Endpoint, ask: Ask, response: HttpResponse): Promise<RegistryError> {
    const { limits } = this.settings;
    const rules = { limit: limits.errorBytes, what: 'the error' };
    const body = await readBounded(response, rules).catch(() => new Uint8Array());
    const { status } = response;
    const retryAfterMs = parseRetryAfter(response.header('retry-after'));
    if (response.url.origin === originOf(endpoint)) {
      const credential = status === 401 ? await this.#parts.authorizer.sourceOf(endpoint) : undefined;
      const reason = said(body, this.#parts.secrets);
      return statusError(ask.what, endpointName(endpoint), status, reason, { retryAfterMs, credential });
    }
    // A signed address of a CDN lives for minutes: each try asks the registry for a new one.
    return new RegistryError(
      'NETWORK',
      `${ask.what}: ${response.url.origin}, where the registry sent us, answered ${status}`,
      {
        status,
        retryAfterMs,
        temporary: true,
      },
    );
  }
}

function addressOf(endpoint: Endpoint, path: string | URL): URL {
  if (path instanceof URL) return path;
  const url = new URL(`${endpoint.root}/${path}`);
  if (endpoint.namespace !== undefined) url.searchParams.set('ns', endpoint.namespace);
  return url;
}
