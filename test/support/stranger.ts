/** A host that a registry leads to: it serves one blob and remembers every header that it was sent. */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface StrangerRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Stranger extends AsyncDisposable {
  readonly url: string;
  readonly requests: StrangerRequest[];
}

/** @param answer the status, headers and body for each request; 200 and the body for a plain Buffer */
export async function startStranger(answer: Buffer | StrangerAnswer): Promise<Stranger> {
  const requests: StrangerRequest[] = [];
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request;
    requests.push({ method, path, headers });
    const {
      status = 200,
      headers: own = {},
      body = '',
    } = Buffer.isBuffer(answer) ? whole(answer, headers) : answer(requests.length);
    request.resume();
    response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...own }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type StrangerAnswer = (count: number) => {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
};

function whole(body: Buffer, headers: IncomingHttpHeaders): ReturnType<StrangerAnswer> {
  const start = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0);
  if (start === 0) return { body };
  const range = `bytes ${start}-${body.length - 1}/${body.length}`;
  return { status: 206, headers: { 'content-range': range }, body: body.subarray(start) };
}
