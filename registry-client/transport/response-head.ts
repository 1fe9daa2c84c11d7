/**
 * The head of an HTTP/1.1 answer, read strictly: RFC 9112. Where two readers of one head could disagree on where its
 * body ends (two lengths, a length and an encoding, folded lines), one of them could be made to take a part of the
 * body for the next answer; such a head is refused.
 */
import { TransportProblem } from '../errors.ts';
import type { Framing } from './framing.ts';

export interface ResponseHead {
  readonly status: number;
  /** By name in lower case; several of one name are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
  /** What ends the body. */
  readonly framing: Framing;
  /** Whether the connection may carry another request afterwards. */
  readonly keepAlive: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) (\d{3})(?: [^\r\n]*)?$/;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a value must not hold
const FORBIDDEN_IN_VALUE = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const MAX_HEADERS = 200;

/** @param text everything before the empty line, as latin1 */
export function parseHead(text: string, method: string): ResponseHead {
  const [statusLine = '', ...lines] = text.split('\r\n');
  const [, minor, digits] = STATUS_LINE.exec(statusLine) ?? [];
  if (digits === undefined) throw malformed('the answer is not HTTP');
  if (lines.length > MAX_HEADERS) throw malformed('the answer has too many headers');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    if (!NAME.test(name) || FORBIDDEN_IN_VALUE.test(value)) throw malformed('the answer has a malformed header');
    const known = headers.get(name);
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  const status = Number(digits);
  const connection = headers.get('connection')?.toLowerCase() ?? '';
  const keepAlive = minor === '1' ? !connection.includes('close') : connection.includes('keep-alive');
  return { status, headers, framing: framingOf(status, headers, method), keepAlive };
}

function framingOf(status: number, headers: ReadonlyMap<string, string>, method: string): Framing {
  const text = headers.get('content-length');
  const encoding = headers.get('transfer-encoding');
  if (text !== undefined && encoding !== undefined) throw malformed('the answer has a length and an encoding');
  // Several equal lengths are allowed, and joined by commas.
  const lengths = new Set(text?.split(',').map((part) => part.trim()));
  const [only = ''] = lengths;
  if (text !== undefined && (lengths.size > 1 || !/^\d{1,15}$/.test(only))) {
    throw malformed('the answer has a malformed length');
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    throw malformed('the answer has an unknown encoding');
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return 0;
  if (encoding !== undefined) return 'chunked';
  return text === undefined ? 'connection' : Number(only);
}

function malformed(what: string): TransportProblem {
  return new TransportProblem(what, { code: 'NETWORK', temporary: true });
}
