/** One line for each request and one for its answer, without secrets: what `--debug` shows. */

import { errnoIn } from '../errors.ts';
import type { Exchange, HttpRequest } from './exchange.ts';
import { harmless, printableHeader, printableUrl, type Secrets } from './secrets.ts';

const SHOWN_ANSWER = [
  'content-type',
  'content-length',
  'content-range',
  'docker-content-digest',
  'retry-after',
  'www-authenticate',
];

export function traced(exchange: Exchange, secrets: Secrets, trace: ((line: string) => void) | undefined): Exchange {
  if (!trace) return exchange;
  let count = 0;
  return async (request) => {
    const id = ++count;
    const started = performance.now();
    const say = (text: string): void => trace(secrets.redact(harmless(`#${id} ${text}`, 2000)));
    say(`→ ${describe(request)}`);
    try {
      const response = await exchange(request);
      const headers = SHOWN_ANSWER.flatMap((name) => {
        const value = response.header(name);
        return value === undefined ? [] : [`${name}: ${value}`];
      });
      say(`← ${response.status} in ${Math.round(performance.now() - started)} ms ${headers.join(', ')}`);
      return response;
    } catch (error) {
      const reason = errnoIn(error) || (error instanceof Error ? error.message : String(error));
      say(`× ${reason} after ${Math.round(performance.now() - started)} ms`);
      throw error;
    }
  };
}

function describe({ method, url, headers, body }: HttpRequest): string {
  const shown = Object.entries(headers).map(([name, value]) => `${name}: ${printableHeader(name, value)}`);
  const length = body ? ` (${body.length} bytes)` : '';
  return `${method} ${printableUrl(url)}${length} ${shown.join(', ')}`;
}
