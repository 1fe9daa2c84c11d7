/**
 * Exchanges over node:http: uploads, and the blobs that direct.ts leaves to it.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { abortError, throwIfAborted } from '../../src/errors.ts';
import { errnoIn } from '../errors.ts';
import type { Timeouts } from '../options.ts';
import { checkLiteral } from './address-guard.ts';
import type { Agents } from './agents.ts';
import { streamBody } from './body.ts';
import { http, https } from './builtin.ts';
import type { Exchange, HttpRequest, HttpResponse, RequestBody } from './exchange.ts';
import { Watchdog } from './watchdog.ts';

export function dataExchange(agents: Agents, timeouts: Timeouts): Exchange {
  return async (request) => {
    throwIfAborted(request.signal);
    if (request.guarded) checkLiteral(request.url);
    const outgoing = start(request, agents);
    try {
      return await perform(request, outgoing, timeouts);
    } catch (error) {
      // A kept connection that the server closed just now says nothing about the server: take a new one.
      if (!outgoing.reusedSocket || request.body || errnoIn(error) !== 'ECONNRESET') throw error;
      return await perform(request, start(request, agents), timeouts);
    }
  };
}

function start(request: HttpRequest, agents: Agents): ClientRequest {
  const { request: open } = request.url.protocol === 'https:' ? https : http;
  return open(request.url, {
    method: request.method,
    agent: agents.agentFor(request.url, request.connection, request.guarded),
    headers: {
      ...request.headers,
      // Stored bytes are what digests name: nothing between may compress them.
      'accept-encoding': 'identity',
      ...(request.body && { 'content-length': String(request.body.length) }),
    },
  });
}

function perform(request: HttpRequest, outgoing: ClientRequest, timeouts: Timeouts): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const watchdog = new Watchdog((error) => outgoing.destroy(error));
    const { signal } = request;
    const onAbort = (): void => void outgoing.destroy(signal ? abortError(signal) : undefined);
    signal?.addEventListener('abort', onAbort, { once: true });
    const settle = (): void => {
      watchdog.stop();
      signal?.removeEventListener('abort', onAbort);
    };
    watchConnection(outgoing, watchdog, timeouts);
    outgoing.once('response', (incoming) => {
      settle();
      resolve(asResponse(request.url, incoming, timeouts.stallMs));
    });
    outgoing.on('error', (error) => {
      settle();
      reject(error);
    });
    if (request.body) sendBody(request.body, outgoing, watchdog, timeouts).catch((error) => outgoing.destroy(error));
    else outgoing.end();
  });
}

/** Waiting for a free connection of the pool may take as long as it takes; connecting may not. */
function watchConnection(outgoing: ClientRequest, watchdog: Watchdog, timeouts: Timeouts): void {
  outgoing.once('socket', (socket) => {
    const connected = (): void => watchdog.expect(timeouts.responseMs, 'no answer');
    if (!socket.connecting) return connected();
    watchdog.expect(timeouts.connectMs, 'no connection');
    socket.once(outgoing.protocol === 'https:' ? 'secureConnect' : 'connect', connected);
  });
}

/**
 * Sends the body as fast as it is taken. A refusal may come before the body has gone out: then the rest stays here,
 * and the answer counts, not the broken pipe.
 */
async function sendBody(
  body: RequestBody,
  outgoing: ClientRequest,
  watchdog: Watchdog,
  timeouts: Timeouts,
): Promise<void> {
  let answered = false;
  outgoing.once('response', (incoming) => {
    answered = true;
    incoming.once('close', () => {
      if (!outgoing.writableFinished) outgoing.destroy();
    });
  });
  for await (const chunk of body.open()) {
    if (answered || outgoing.destroyed) return;
    if (outgoing.write(chunk)) continue;
    watchdog.expect(timeouts.stallMs, 'no byte was taken');
    await firstOf(outgoing, ['drain', 'response', 'close']);
  }
  outgoing.end(() => {
    if (!answered) watchdog.expect(timeouts.responseMs, 'no answer');
  });
}

/** Waits for the first of these events, and leaves no listener behind: a large body waits thousands of times. */
function firstOf(emitter: ClientRequest, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      for (const event of events) emitter.off(event, settle);
      resolve();
    };
    for (const event of events) emitter.once(event, settle);
  });
}

function asResponse(url: URL, incoming: IncomingMessage, stallMs: number): HttpResponse {
  return {
    status: incoming.statusCode ?? 0,
    url,
    body: streamBody(incoming, stallMs),
    header(name) {
      const value = incoming.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
  };
}
