/** Answers in the shapes of OCI Distribution Specification 1.1, "Error Codes". */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';

type WireCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNSUPPORTED';

/** A request that ends with an error answer. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly wireCode: WireCode;
  readonly headers: OutgoingHttpHeaders;

  constructor(status: number, wireCode: WireCode, message: string, headers: OutgoingHttpHeaders = {}) {
    super(message);
    this.status = status;
    this.wireCode = wireCode;
    this.headers = headers;
  }
}

export function sendEmpty(response: ServerResponse, status: number, headers: OutgoingHttpHeaders = {}): void {
  response.writeHead(status, { 'Content-Length': 0, ...headers }).end();
}

/** Sends bytes, or their headers alone to HEAD. */
export function sendBytes(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  headers: OutgoingHttpHeaders,
): void {
  response.writeHead(200, { 'Content-Length': bytes.length, ...headers });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  value: unknown,
  headers: OutgoingHttpHeaders = {},
): void {
  sendBytes(request, response, Buffer.from(JSON.stringify(value)), { 'Content-Type': 'application/json', ...headers });
}

export function sendProblem(response: ServerResponse, problem: HttpProblem): void {
  const errors = [{ code: problem.wireCode, message: problem.message }];
  const body = Buffer.from(JSON.stringify({ errors }));
  response.writeHead(problem.status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    ...problem.headers,
  });
  // node:http drops the body for HEAD by itself.
  response.end(body);
}
