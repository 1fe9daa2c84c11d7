/**
 * Exchanges over node-fetch: the API's documents, which are small and read whole. Redirects are never followed here
 * (node-fetch keeps Authorization on a redirect to another port) and nothing is decompressed (digests name the
 * stored bytes). node-fetch is loaded when it is first needed: an image that is there already takes one HEAD.
 */
import type { Readable } from 'node:stream';
import { abortError, throwIfAborted } from '../../src/errors.ts';
import type { Timeouts } from '../options.ts';
import { checkLiteral } from './address-guard.ts';
import type { Agents } from './agents.ts';
import { streamBody } from './body.ts';
import type { Exchange, HttpRequest, HttpResponse, RequestBody } from './exchange.ts';
import { Watchdog } from './watchdog.ts';

export function apiExchange(agents: Agents, timeouts: Timeouts): Exchange {
  return async (request) => {
    throwIfAborted(request.signal);
    if (request.guarded) checkLiteral(request.url);
    const body = request.body && (await collect(request.body));
    const controller = new AbortController();
    const watchdog = new Watchdog((error) => controller.abort(error));
    const onAbort = (): void => controller.abort(request.signal && abortError(request.signal));
    request.signal?.addEventListener('abort', onAbort, { once: true });
    watchdog.expect(timeouts.connectMs + timeouts.responseMs, 'no answer');
    try {
      return await perform(request, body, agents, timeouts, controller.signal);
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error;
    } finally {
      watchdog.stop();
      request.signal?.removeEventListener('abort', onAbort);
    }
  };
}

async function perform(
  request: HttpRequest,
  body: Buffer | undefined,
  agents: Agents,
  timeouts: Timeouts,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const { default: fetch } = await import('node-fetch');
  const response = await fetch(request.url, {
    method: request.method,
    headers: { ...request.headers, 'accept-encoding': 'identity' },
    ...(body && { body }),
    redirect: 'manual',
    compress: false,
    agent: agents.agentFor(request.url, request.connection, request.guarded),
    signal,
  });
  return {
    status: response.status,
    url: request.url,
    body: streamBody(response.body as Readable, timeouts.stallMs),
    header: (name) => response.headers.get(name) ?? undefined,
  };
}

async function collect(body: RequestBody): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body.open()) chunks.push(chunk);
  return Buffer.concat(chunks, body.length);
}
