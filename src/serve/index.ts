/**
 * The embedded registry: the OCI Distribution API (1.1) over an OCI image layout. Reads always; takes pushes when
 * `writable`. It has no access control of its own: it listens on loopback unless told otherwise.
 */

import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { TslayerError } from '../errors.ts';
import { answer } from './dispatch.ts';
import { Layout } from './layout.ts';
import { LayoutWriter } from './layout-writer.ts';
import { Uploads } from './uploads.ts';
import type { WriteSide } from './write.ts';

export interface ServeOptions {
  /** The OCI image layout (a tslayer store is one). Made when it is missing and `writable`. */
  readonly layoutDir: string;
  /** Default: a free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Takes pushes and deletions. Default: reads only. */
  readonly writable?: boolean;
  /** Largest blob taken, bytes. Default 64 GiB. */
  readonly maxBlobBytes?: number;
  /** PEM; the registry then speaks HTTPS. */
  readonly tls?: { readonly cert: string | Buffer; readonly key: string | Buffer };
  /** Called after each answer, for an access log. */
  readonly onRequest?: (access: Access) => void;
}

export interface Access {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** The request's Range header. */
  readonly range?: string;
}

export interface RunningRegistry extends AsyncDisposable {
  /** `http://127.0.0.1:40001` */
  readonly url: string;
  /** As it stands in a reference: `127.0.0.1:40001`. */
  readonly host: string;
  readonly port: number;
  /** Ends every connection; idempotent. */
  close(): Promise<void>;
}

const DEFAULT_MAX_BLOB = 64 * 1024 ** 3;
/** A connection on which nothing moves for so long is dropped. */
const IDLE_MS = 120_000;

/** Starts serving; resolves when connections are accepted. Throws NOT_FOUND when there is no layout to serve. */
export async function serveRegistry(options: ServeOptions): Promise<RunningRegistry> {
  const layout = new Layout(options.layoutDir);
  const side = options.writable ? await openWriteSide(layout, options.maxBlobBytes ?? DEFAULT_MAX_BLOB) : undefined;
  if (!side) await requireLayout(options.layoutDir);
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('finish', () => report(options, request, response));
    void answer(layout, side, request, response);
  };
  const server = options.tls ? createTlsServer({ ...options.tls }, listener) : createServer(listener);
  // Large blobs take as long as they take: only silence ends a request.
  server.requestTimeout = 0;
  server.setTimeout(IDLE_MS);
  server.keepAliveTimeout = 30_000;
  const host = options.host ?? '127.0.0.1';
  const port = await listen(server, options.port ?? 0, host);
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= shutDown(server, side));
  return {
    url: `${options.tls ? 'https' : 'http'}://${authority}`,
    host: authority,
    port,
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function openWriteSide(layout: Layout, maxBlobBytes: number): Promise<WriteSide> {
  const writer = new LayoutWriter(layout);
  await writer.prepare();
  return { writer, uploads: new Uploads(writer, maxBlobBytes) };
}

async function requireLayout(dir: string): Promise<void> {
  try {
    await stat(join(dir, 'index.json'));
  } catch (cause) {
    throw new TslayerError('NOT_FOUND', `${dir} is no OCI image layout`, {
      cause,
      hint: 'it needs an index.json and blobs/',
    });
  }
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

async function shutDown(server: Server, side: WriteSide | undefined): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
  await side?.uploads.close();
}

function report(options: ServeOptions, request: IncomingMessage, response: ServerResponse): void {
  const { range } = request.headers;
  options.onRequest?.({
    method: request.method ?? '',
    path: request.url ?? '',
    status: response.statusCode,
    ...(range !== undefined && { range }),
  });
}
