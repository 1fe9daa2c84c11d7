/** What registries say beside their answers: rate limits, and `Warning: 299` (Distribution Specification, "Warnings"). */
import type { OnProgress } from '../src/progress.ts';
import type { RateLimit } from './client.ts';
import type { Endpoint } from './endpoint.ts';
import type { HttpResponse } from './transport/exchange.ts';
import { harmless, type Secrets } from './transport/secrets.ts';

/** Below this share of the limit, people are warned. */
const NEARLY = 0.1;

export class Notices {
  readonly #secrets: Secrets;
  readonly #limits = new Map<string, RateLimit>();
  readonly #told = new Set<string>();

  constructor(secrets: Secrets) {
    this.#secrets = secrets;
  }

  rateLimit(registry: string): RateLimit | undefined {
    return this.#limits.get(registry);
  }

  note(endpoint: Endpoint, response: HttpResponse, onProgress: OnProgress | undefined): void {
    const limit = parseRateLimit(response);
    if (limit) {
      this.#limits.set(endpoint.registry, limit);
      if (limit.remaining <= limit.limit * NEARLY) {
        const message = `${endpoint.registry} allows ${limit.remaining} more of ${limit.limit} pulls${windowOf(limit)}`;
        this.#tell(message, onProgress);
      }
    }
    for (const text of parseWarnings(response.header('warning'))) {
      this.#tell(`${endpoint.registry}: ${this.#secrets.redact(harmless(text))}`, onProgress);
    }
  }

  /** Each warning once. */
  #tell(message: string, onProgress: OnProgress | undefined): void {
    if (!onProgress || this.#told.has(message) || this.#told.size > 1000) return;
    this.#told.add(message);
    onProgress({ type: 'warning', message });
  }
}

function windowOf({ windowSeconds }: RateLimit): string {
  if (windowSeconds === undefined) return '';
  return windowSeconds % 3600 === 0 ? ` in ${windowSeconds / 3600} h` : ` in ${windowSeconds} s`;
}

/** Docker Hub's `ratelimit-limit: 100;w=21600` and the draft standard's plain number. */
export function parseRateLimit(response: Pick<HttpResponse, 'header'>): RateLimit | undefined {
  const limit = /^(\d{1,12})(?:;w=(\d{1,9}))?/.exec(response.header('ratelimit-limit') ?? '');
  const remaining = /^(\d{1,12})/.exec(response.header('ratelimit-remaining') ?? '');
  if (!limit || !remaining) return undefined;
  const source = response.header('docker-ratelimit-source');
  return {
    limit: Number(limit[1]),
    remaining: Number(remaining[1]),
    ...(limit[2] !== undefined && { windowSeconds: Number(limit[2]) }),
    ...(source !== undefined && { source: harmless(source, 80) }),
  };
}

/** The texts of `299 - "text"`; other codes are a cache's business. */
export function parseWarnings(header: string | undefined): string[] {
  const found = (header ?? '').slice(0, 8192).matchAll(/299\s+\S+\s+"((?:[^"\\]|\\.)*)"/g);
  return [...found].map(([, text = '']) => text.replace(/\\(.)/g, '$1')).slice(0, 5);
}
