/**
 * The token service: challenge → token. Distribution's token and oauth2 specifications. Tokens are kept for each
 * realm, service, scope and user until shortly before they expire; several askers share one request.
 */
import * as v from 'valibot';
import { parseJson } from '../../src/oci/descriptor.ts';
import type { Connection } from '../endpoint.ts';
import { RegistryError, statusError, transportError } from '../errors.ts';
import type { Settings } from '../options.ts';
import { bytesBody, type Exchange, type HttpResponse, readBounded } from '../transport/exchange.ts';
import type { Secrets } from '../transport/secrets.ts';
import { said } from '../wire-errors.ts';
import type { Credential } from './credentials.ts';

export interface TokenRequest {
  readonly realm: URL;
  readonly service: string | undefined;
  /** `repository:library/alpine:pull`, sorted. */
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly connection: Connection;
  readonly guarded: boolean;
  readonly signal?: AbortSignal | undefined;
}

const Answer = v.object({
  token: v.nullish(v.string()),
  access_token: v.nullish(v.string()),
  expires_in: v.nullish(v.number()),
});

/** What the specification has us assume, and the least that it allows. */
const SHORTEST_LIFE_S = 60;
/** A token is renewed while it still has this much to live, so that it does not expire on its way. */
const MARGIN_S = 10;
const HEADER_SAFE = /^[\x21-\x7e]+$/;

interface Kept {
  readonly token: string;
  /** By the monotonic clock: a wrong wall clock must not matter. */
  readonly expires: number;
}

export class TokenService {
  readonly #exchange: Exchange;
  readonly #settings: Settings;
  readonly #secrets: Secrets;
  readonly #kept = new Map<string, Kept>();
  readonly #asked = new Map<string, Promise<string>>();

  constructor(exchange: Exchange, settings: Settings, secrets: Secrets) {
    this.#exchange = exchange;
    this.#settings = settings;
    this.#secrets = secrets;
  }

  /** @param refused a token that the registry no longer takes: it is not given out again */
  async token(request: TokenRequest, refused?: string): Promise<string> {
    const key = keyOf(request);
    const kept = this.#kept.get(key);
    if (kept && kept.token !== refused && kept.expires > performance.now()) return kept.token;
    const asked = this.#asked.get(key);
    if (asked) return await asked;
    const promise = this.#fetch(request, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, promise);
    return await promise;
  }

  async #fetch(request: TokenRequest, key: string): Promise<string> {
    const answer = await this.#ask(request);
    const token = answer.token || answer.access_token;
    const place = request.realm.origin;
    if (!token || !HEADER_SAFE.test(token)) throw new RegistryError('DENIED', `${place} gave no usable token`);
    this.#secrets.add(token);
    const life = Math.max(answer.expires_in ?? 0, SHORTEST_LIFE_S) - MARGIN_S;
    this.#kept.set(key, { token, expires: performance.now() + life * 1000 });
    return token;
  }

  async #ask(request: TokenRequest): Promise<v.InferOutput<typeof Answer>> {
    const what = `the token service for ${request.service ?? 'the registry'}`;
    const place = request.realm.origin;
    let response: HttpResponse;
    let body: Buffer;
    try {
      response = await this.#send(request);
      const { limits } = this.#settings;
      const rules = { limit: limits.tokenBytes, what: 'the token', signal: request.signal };
      body = await readBounded(response, rules);
    } catch (error) {
      throw transportError(what, place, error);
    }
    if (response.status !== 200) {
      throw statusError(what, place, response.status, said(body, this.#secrets), {
        credential: request.credential?.source,
      });
    }
    return parseJson(body, Answer, `the answer of ${what}`);
  }

  /** An identity token is exchanged by POST; where the service knows only GET, it is no use. */
  async #send(request: TokenRequest): Promise<HttpResponse> {
    const { credential, realm, connection, guarded, signal } = request;
    const common = { connection, guarded, signal };
    const userAgent = this.#settings.userAgent;
    if (credential?.identityToken) {
      const form = new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: credential.identityToken,
        client_id: 'tslayer',
        scope: request.scopes.join(' '),
        ...(request.service !== undefined && { service: request.service }),
      });
      const headers = { 'content-type': 'application/x-www-form-urlencoded', 'user-agent': userAgent };
      const body = bytesBody(Buffer.from(form.toString()));
      return await this.#exchange({ ...common, method: 'POST', url: realm, headers, body });
    }
    const url = new URL(realm);
    if (request.service !== undefined) url.searchParams.set('service', request.service);
    for (const scope of request.scopes) url.searchParams.append('scope', scope);
    if (credential) url.searchParams.set('account', credential.username);
    const headers = { 'user-agent': userAgent, ...(credential && { authorization: basicHeader(credential) }) };
    return await this.#exchange({ ...common, method: 'GET', url, headers });
  }
}

export function basicHeader(credential: Credential): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`;
}

function keyOf(request: TokenRequest): string {
  const { realm, service, scopes, credential } = request;
  return JSON.stringify([realm.href, service, scopes, credential?.username, credential?.identityToken]);
}
