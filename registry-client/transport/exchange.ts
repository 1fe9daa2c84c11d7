/**
 * One HTTP request and its answer, nothing followed, nothing repeated. Three files perform it: direct.ts (what is
 * pulled), data.ts (uploads, proxies, whatever else) and api.ts (the API's other documents).
 */
import { abortError } from '../../src/errors.ts';
import type { Connection } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { Body } from './body.ts';

export interface RequestBody {
  /** Bytes that `open` yields. */
  readonly length: number;
  /** Opens the bytes; again when the request is repeated. */
  open(): AsyncIterable<Uint8Array>;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  readonly connection: Connection;
  /** Refuse private, loopback and link-local addresses: the address came from a stranger. */
  readonly guarded: boolean;
  /** The answer's chunks are good until the next one is asked for: their memory may be used again. Default false. */
  readonly transient?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Where the answer came from, after redirects. */
  readonly url: URL;
  /** A header's value; several of one name are joined by a comma. */
  header(name: string): string | undefined;
  /** To be read to its end, or destroyed. */
  readonly body: Body;
}

export type Exchange = (request: HttpRequest) => Promise<HttpResponse>;

export function bytesBody(bytes: Uint8Array): RequestBody {
  return {
    length: bytes.length,
    async *open() {
      yield bytes;
    },
  };
}

export interface ReadingRules {
  /** Most bytes. */
  readonly limit: number;
  /** For messages: `the manifest`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/** The whole body, refused as soon as it is known to be over the limit. */
export async function readBounded(response: HttpResponse, rules: ReadingRules): Promise<Buffer> {
  const { limit, what, signal } = rules;
  const { body } = response;
  const onAbort = (): void => body.destroy();
  signal?.addEventListener('abort', onAbort, { once: true });
  const chunks: Buffer[] = [];
  let total = 0;
  try {
    if (Number(response.header('content-length') ?? 0) > limit) throw tooLarge(what, limit);
    for (let chunk = await body.read(); chunk; chunk = await body.read()) {
      total += chunk.length;
      if (total > limit) throw tooLarge(what, limit);
      chunks.push(chunk);
    }
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    body.destroy();
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

function tooLarge(what: string, limit: number): RegistryError {
  return new RegistryError('LIMIT_EXCEEDED', `${what} has more than ${limit} bytes`);
}

/** Most bytes of an unwanted body that are read to keep its connection; beyond that a new one is cheaper. */
const WORTH_READING = 64 * 1024;

/** Gets rid of a body that nobody wants, and keeps the connection when that is cheap. */
export async function discard(response: HttpResponse): Promise<void> {
  await readBounded(response, { limit: WORTH_READING, what: 'the answer' }).catch(() => undefined);
}
