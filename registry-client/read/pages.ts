/** Listings in pages: `n`, `last` and `Link`. Distribution Specification, "Listing Tags"; RFC 8288. */
import type { Endpoint } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { checkedLocation } from '../redirect.ts';
import type { Ask, Effort, Requester } from '../requester.ts';
import { type HttpResponse, readBounded } from '../transport/exchange.ts';

export interface Page {
  readonly bytes: Buffer;
  readonly response: HttpResponse;
}

/** The pages of a listing, each read and bounded; ends after the last one, and on a chain that goes in circles. */
export async function* pages(
  requester: Requester,
  endpoint: Endpoint,
  ask: Ask,
  effort: Effort,
): AsyncGenerator<Page, void, undefined> {
  const { limits } = requester.settings;
  const seen = new Set<string>();
  let path: string | URL = ask.path;
  for (let count = 0; count < limits.pages; count++) {
    const page = await readPage(requester, endpoint, { ...ask, path }, effort);
    yield page;
    const next = nextPage(page.response, ask.what);
    if (!next || seen.has(next.href)) return;
    seen.add(next.href);
    path = next;
  }
  throw new RegistryError('LIMIT_EXCEEDED', `${ask.what}: more than ${limits.pages} pages`);
}

/** One document, tried again when it breaks off. */
export async function readPage(requester: Requester, endpoint: Endpoint, ask: Ask, effort: Effort): Promise<Page> {
  const { limits } = requester.settings;
  const rules = { limit: limits.pageBytes, what: ask.what, signal: effort.signal };
  return await requester.sendAndUse(endpoint, ask, effort, async (response) => {
    return { response, bytes: await readBounded(response, rules) };
  });
}

/** The Link to the next page; a page elsewhere is not followed. */
function nextPage(response: HttpResponse, what: string): URL | undefined {
  const link = response.header('link') ?? '';
  const match = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(link.slice(0, 8192));
  if (!match) return undefined;
  const next = checkedLocation(response, match[1] ?? '', what);
  if (next.origin !== response.url.origin)
    throw new RegistryError('DENIED', `${what}: the next page is at ${next.origin}`);
  return next;
}
