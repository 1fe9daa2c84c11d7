/**
 * Keeps secrets out of every text: what servers say (one may echo our Authorization), traces, errors. Each password
 * and token that passes through is remembered, and replaced wherever it shows up.
 */

/** Shorter ones would blank out ordinary words. */
const SHORTEST = 4;
const SECRET_HEADERS = /^(?:authorization|proxy-authorization|cookie|set-cookie|x-registry-auth)$/;

export class Secrets {
  readonly #known = new Set<string>();

  add(secret: string | undefined): void {
    if (secret !== undefined && secret.length >= SHORTEST) this.#known.add(secret);
  }

  redact(text: string): string {
    let clean = text;
    for (const secret of this.#known) clean = clean.replaceAll(secret, '***');
    return clean;
  }
}

/** An address as messages may show it: no user info; a query's values are signatures and tokens, so only its names. */
export function printableUrl(url: URL): string {
  const names = [...new Set(url.searchParams.keys())].map((name) => `${encodeURIComponent(name)}=…`).join('&');
  return `${url.origin}${url.pathname}${names === '' ? '' : `?${names}`}`;
}

export function printableHeader(name: string, value: string): string {
  if (!SECRET_HEADERS.test(name)) return value;
  return value.includes(' ') ? `${value.slice(0, value.indexOf(' '))} ***` : '***';
}

/** A server's text made fit for one line of a terminal: no control characters, no escape sequences, bounded. */
export function harmless(text: string, limit = 200): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must go
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, ' ').trim();
  return clean.length > limit ? `${clean.slice(0, limit)}…` : clean;
}
