/**
 * Exchanges over direct connections: GET and HEAD without a proxy. Connections are kept apart by way of connecting, as
 * in agents.ts.
 */
import { isIP } from 'node:net';
import { abortError, throwIfAborted } from '../../src/errors.ts';
import { errnoIn } from '../errors.ts';
import type { Settings } from '../options.ts';
import { checkLiteral, guardedLookup } from './address-guard.ts';
import { type DirectAnswer, DirectConnection, type DirectTarget } from './direct-connection.ts';
import type { Exchange, HttpRequest, HttpResponse } from './exchange.ts';
import type { Origins } from './origins.ts';
import { proxyFor } from './proxy.ts';
import { Slots } from './slots.ts';
import { tlsOptions } from './tls.ts';
import { Watchdog } from './watchdog.ts';

const IDLE_MS = 15_000;
// biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin another header
const UNSAFE = /[\u0000-\u0008\u000a-\u001f\u007f-\uffff]/;

/** Connections to one origin, made in one way. */
interface Pool {
  readonly idle: DirectConnection[];
  readonly slots: Slots;
}

export class DirectExchange {
  readonly #settings: Settings;
  readonly #origins: Origins;
  readonly #fallback: Exchange;
  readonly #pools = new Map<string, Pool>();
  readonly #all = new Set<DirectConnection>();

  /** @param fallback performs what this cannot */
  constructor(settings: Settings, origins: Origins, fallback: Exchange) {
    this.#settings = settings;
    this.#origins = origins;
    this.#fallback = fallback;
  }

  readonly exchange: Exchange = async (request) => {
    throwIfAborted(request.signal);
    if (!this.#isOurs(request)) return await this.#fallback(request);
    if (request.guarded) checkLiteral(request.url);
    return asResponse(request.url, await this.#perform(request, headOf(request)));
  };

  close(): void {
    for (const connection of this.#all) connection.destroy();
  }

  #isOurs({ method, body, url, connection }: HttpRequest): boolean {
    if ((method !== 'GET' && method !== 'HEAD') || body) return false;
    return connection.proxy === undefined && proxyFor(url, this.#settings.env) === undefined;
  }

  async #perform(request: HttpRequest, head: string): Promise<DirectAnswer> {
    const pool = this.#poolOf(request);
    const release = await pool.slots.take(request.signal);
    const kept = pool.idle.pop();
    if (kept) {
      try {
        return await this.#ask(kept, request, head, pool, release);
      } catch (error) {
        // A kept connection that the server closed just now says nothing about the server: take a new one.
        if (errnoIn(error) !== 'ECONNRESET' || request.signal?.aborted) throw error;
        return await this.#perform(request, head);
      }
    }
    return await this.#ask(this.#connect(request), request, head, pool, release);
  }

  async #ask(
    connection: DirectConnection,
    request: HttpRequest,
    head: string,
    pool: Pool,
    release: () => void,
  ): Promise<DirectAnswer> {
    const { timeouts } = this.#settings;
    const { signal } = request;
    const watchdog = new Watchdog((error) => connection.destroy(error));
    const onAbort = (): void => connection.destroy(signal && abortError(signal));
    connection.socket.ref();
    connection.socket.setTimeout(0);
    connection.onClosed = () => {
      this.#all.delete(connection);
      release();
    };
    connection.onIdle = () => {
      release();
      this.#keep(connection, pool);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (connection.socket.connecting) {
      watchdog.expect(timeouts.connectMs, 'no connection');
      const event = request.url.protocol === 'https:' ? 'secureConnect' : 'connect';
      connection.socket.once(event, () => {
        watchdog.expect(timeouts.responseMs, 'no answer');
        this.#origins.note(request.url.origin, connection.socket.remoteAddress);
      });
    } else watchdog.expect(timeouts.responseMs, 'no answer');
    try {
      const { method, transient = false } = request;
      return await connection.ask({ head, method, stallMs: timeouts.stallMs, transient });
    } finally {
      watchdog.stop();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #keep(connection: DirectConnection, pool: Pool): void {
    const drop = (): void => {
      const at = pool.idle.indexOf(connection);
      if (at >= 0) pool.idle.splice(at, 1);
      this.#all.delete(connection);
    };
    connection.onClosed = drop;
    connection.socket.unref();
    connection.socket.setTimeout(IDLE_MS);
    pool.idle.push(connection);
  }

  #poolOf({ url, connection, guarded }: HttpRequest): Pool {
    const key = JSON.stringify([url.origin, connection, guarded]);
    let pool = this.#pools.get(key);
    if (!pool) {
      pool = { idle: [], slots: new Slots(this.#settings.limits.connectionsPerHost) };
      this.#pools.set(key, pool);
    }
    return pool;
  }

  #connect(request: HttpRequest): DirectConnection {
    const connection = new DirectConnection(targetOf(request));
    this.#all.add(connection);
    return connection;
  }
}

function targetOf({ url, connection, guarded }: HttpRequest): DirectTarget {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const isTls = url.protocol === 'https:';
  return {
    host,
    port: Number(url.port || (isTls ? 443 : 80)),
    ...(isTls && { tls: { ...tlsOptions(connection), ...(isIP(host) === 0 && { servername: host }) } }),
    ...(guarded && { lookup: guardedLookup }),
  };
}

function headOf({ method, url, headers }: HttpRequest): string {
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `host: ${url.host}`];
  for (const [name, value] of Object.entries({ ...headers, 'accept-encoding': 'identity', connection: 'keep-alive' })) {
    lines.push(`${name}: ${value}`);
  }
  if (lines.some((line) => UNSAFE.test(line))) throw new TypeError('a header may not hold control characters');
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function asResponse(url: URL, { head, body }: DirectAnswer): HttpResponse {
  return { status: head.status, url, body, header: (name) => head.headers.get(name) };
}
