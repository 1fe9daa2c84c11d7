/**
 * Redirects, which node-fetch and node:http are told not to follow: each hop is checked here. What a request may take
 * along is decided by the caller, hop by hop; the addresses of upload sessions are checked by the same rules.
 */
import { RegistryError } from './errors.ts';
import type { HttpRequest, HttpResponse } from './transport/exchange.ts';
import { printableUrl } from './transport/secrets.ts';

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Where to go next, undefined when the response is no redirect. */
export function redirectTarget(
  response: HttpResponse,
  request: { readonly method: HttpRequest['method']; readonly what: string },
  hops: number,
  limit: number,
): URL | undefined {
  if (!REDIRECTS.has(response.status)) return undefined;
  const location = response.header('location');
  // 304-like answers without an address are left to the caller, who finds the status unexpected.
  if (location === undefined) return undefined;
  const { what, method } = request;
  if (method !== 'GET' && method !== 'HEAD') {
    throw refused(
      response,
      `${what}: ${response.url.origin} redirects a ${method}, which would send the body elsewhere`,
    );
  }
  if (hops >= limit)
    throw refused(response, `${what}: more than ${limit} redirects, the last to ${response.url.origin}`);
  return checkedLocation(response, location, what);
}

/** The address in a Location header, relative or not. */
export function checkedLocation(response: HttpResponse, location: string, what: string): URL {
  const from = response.url;
  const target = URL.parse(location, from.href);
  const problem = target ? locationProblem(target, from) : MALFORMED;
  if (!target || problem !== undefined) throw refused(response, `${what}: ${from.origin} ${problem}`);
  target.hash = '';
  return target;
}

const MALFORMED = 'gives a malformed address';

/** Why nobody may be sent to `target` by `from`. */
export function locationProblem(target: URL, from: URL): string | undefined {
  if (!/^https?:$/.test(target.protocol)) return MALFORMED;
  if (from.protocol === 'https:' && target.protocol === 'http:') {
    return `leads to ${printableUrl(target)}, which is not encrypted`;
  }
  if (target.username !== '' || target.password !== '') return 'gives an address with credentials in it';
  return undefined;
}

function refused(response: HttpResponse, message: string): RegistryError {
  response.body.destroy();
  return new RegistryError('DENIED', message);
}
