/** From a request to the operation that answers it, and from what it throws to an answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isTslayerError } from '../errors.ts';
import type { Layout } from './layout.ts';
import * as read from './read.ts';
import { HttpProblem, sendProblem } from './respond.ts';
import { parseRoute, type Route } from './route.ts';
import * as write from './write.ts';

/** Answers one request; never throws. `side` is there when the registry takes pushes. */
export async function answer(
  layout: Layout,
  side: write.WriteSide | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const url = new URL(request.url ?? '/', 'http://registry.invalid');
    const route = parseRoute(url.pathname);
    const exchange: read.Exchange = { layout, request, response, query: url.searchParams };
    await dispatch(route, exchange, side);
    // A body that nobody read would be taken for the next request.
    request.resume();
  } catch (error) {
    fail(request, response, error);
  }
}

function dispatch(route: Route, exchange: read.Exchange, side: write.WriteSide | undefined): Promise<void> | void {
  const method = exchange.request.method ?? '';
  if (route.kind === 'uploads' || route.kind === 'upload') {
    if (side) return dispatchUpload(method, route, exchange, side);
  } else if (method === 'GET' || method === 'HEAD') return dispatchRead(route, exchange);
  else if (side) return dispatchChange(method, route, exchange, side);
  throw notAllowed();
}

type UploadRoute = Extract<Route, { kind: 'uploads' | 'upload' }>;
type ContentRoute = Exclude<Route, UploadRoute>;

function dispatchRead(route: ContentRoute, exchange: read.Exchange): Promise<void> | void {
  switch (route.kind) {
    case 'ping':
      return read.sendPing(exchange);
    case 'catalog':
      return read.sendCatalog(exchange);
    case 'tags':
      return read.sendTags(exchange, route.repository);
    case 'referrers':
      return read.sendReferrers(exchange, route.repository, route.digest);
    case 'blob':
      return read.sendBlob(exchange, route.digest);
    case 'manifest':
      return read.sendManifest(exchange, route.repository, route.reference);
  }
}

function dispatchChange(
  method: string,
  route: ContentRoute,
  exchange: read.Exchange,
  side: write.WriteSide,
): Promise<void> {
  if (route.kind === 'manifest' && method === 'PUT') {
    return write.putManifest(side, exchange, route.repository, route.reference);
  }
  if (route.kind === 'manifest' && method === 'DELETE') {
    return write.deleteManifest(side, exchange, route.repository, route.reference);
  }
  if (route.kind === 'blob' && method === 'DELETE') return write.deleteBlob(side, exchange, route.digest);
  throw notAllowed();
}

function dispatchUpload(
  method: string,
  route: UploadRoute,
  exchange: read.Exchange,
  side: write.WriteSide,
): Promise<void> | void {
  const { repository } = route;
  if (route.kind === 'uploads') {
    if (method === 'POST') return write.beginUpload(side, exchange, repository);
    throw notAllowed();
  }
  switch (method) {
    case 'GET':
      return write.sendUploadStatus(side, exchange, repository, route.id);
    case 'PATCH':
      return write.continueUpload(side, exchange, repository, route.id);
    case 'PUT':
      return write.finishUpload(side, exchange, repository, route.id);
    case 'DELETE':
      return write.cancelUpload(side, exchange, repository, route.id);
  }
  throw notAllowed();
}

function notAllowed(): HttpProblem {
  return new HttpProblem(405, 'UNSUPPORTED', 'the operation is not supported here');
}

function fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    // In mid-body: breaking the connection is the only way to say that the rest will not come.
    response.destroy();
    return;
  }
  // The rest of a refused body is not worth reading.
  if (!request.complete) response.setHeader('Connection', 'close');
  sendProblem(response, asProblem(error));
}

function asProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (isTslayerError(error)) return new HttpProblem(400, 'MANIFEST_INVALID', error.message);
  // What went wrong inside (paths, errno) is nothing for a stranger.
  return new HttpProblem(500, 'UNSUPPORTED', 'internal error');
}
