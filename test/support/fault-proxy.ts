/**
 * A registry's bad day: a proxy in front of a real one that breaks answers in chosen ways, and counts what it was
 * asked and what it sent. Faults are taken in order; one that is used up is gone.
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  status: number;
  /** Body bytes that went out. */
  sent: number;
}

/** The real registry's answer, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

export interface FaultContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly exchange: Exchange;
  /** Asks the real registry; `headers` replace the request's. */
  upstream(headers?: Record<string, string | undefined>): Promise<Answer>;
  /** Sends an answer's head and its body from `from` to `to`, and leaves the connection open. */
  send(answer: Answer, to?: number): Promise<void>;
}

export type Fault = (context: FaultContext) => Promise<void> | void;

export interface FaultRule {
  /** Which requests: `/blobs/`, `/^GET .*manifests/`; tested against `METHOD path`. Default: all. */
  readonly on?: RegExp;
  /** How often. Default 1. */
  readonly times?: number;
  readonly act: Fault;
}

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  readonly host: string;
  readonly exchanges: readonly Exchange[];
  /** Body bytes of blobs that went out. */
  readonly blobBytes: number;
  fault(...rules: FaultRule[]): void;
  /** Forgets faults and counts. */
  reset(): void;
  /** Open connections. */
  connections(): Promise<number>;
}

interface Armed extends FaultRule {
  left: number;
}

export async function startFaultProxy(upstreamUrl: string): Promise<FaultProxy> {
  let armed: Armed[] = [];
  let exchanges: Exchange[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    const exchange = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: incoming.headers,
      status: 0,
      sent: 0,
    };
    exchanges.push(exchange);
    const line = `${exchange.method} ${exchange.path}`;
    const rule = armed.find((candidate) => candidate.left > 0 && (candidate.on ?? /./).test(line));
    if (rule) rule.left--;
    const context = contextOf(upstreamUrl, incoming, response, exchange);
    Promise.resolve((rule?.act ?? passOn)(context)).catch(() => response.destroy());
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    get exchanges() {
      return exchanges;
    },
    get blobBytes() {
      return exchanges.filter(({ path }) => path.includes('/blobs/')).reduce((sum, { sent }) => sum + sent, 0);
    },
    fault(...rules) {
      armed.push(...rules.map((rule) => ({ ...rule, left: rule.times ?? 1 })));
    },
    reset() {
      armed = [];
      exchanges = [];
    },
    connections: () => new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function contextOf(
  upstreamUrl: string,
  incoming: IncomingMessage,
  response: ServerResponse,
  exchange: Exchange,
): FaultContext {
  return {
    request: incoming,
    response,
    exchange,
    upstream: (headers = {}) => askUpstream(upstreamUrl, incoming, headers),
    async send(answer, to = answer.body.length) {
      exchange.status = answer.status;
      response.writeHead(answer.status, answer.headers);
      const body = answer.body.subarray(0, to);
      if (incoming.method === 'HEAD' || body.length === 0) return response.flushHeaders();
      await new Promise<void>((resolve) => response.write(body, () => resolve()));
      exchange.sent += body.length;
    },
  };
}

/** What happens without a fault. */
export const passOn: Fault = async ({ upstream, send, response }) => {
  await send(await upstream());
  response.end();
};

function askUpstream(
  upstreamUrl: string,
  incoming: IncomingMessage,
  changed: Record<string, string | undefined>,
): Promise<Answer> {
  const headers = Object.fromEntries(
    Object.entries({ ...incoming.headers, ...changed }).filter(
      ([name, value]) => value !== undefined && name !== 'host',
    ),
  );
  return new Promise((resolve, reject) => {
    const outgoing = request(new URL(incoming.url ?? '/', upstreamUrl), {
      method: incoming.method ?? 'GET',
      headers,
      agent: false,
    });
    outgoing.on('error', reject);
    outgoing.on('response', (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('error', reject);
      answer.on('end', () => {
        const { connection: _connection, 'keep-alive': _keepAlive, ...kept } = answer.headers;
        resolve({ status: answer.statusCode ?? 0, headers: kept, body: Buffer.concat(chunks) });
      });
    });
    incoming.pipe(outgoing);
  });
}
