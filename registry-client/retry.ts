/**
 * The one retry policy. Tried again: connection failures, timeouts, stalls, 408, 429, 500, 502, 503 and 504. The delay
 * doubles from `baseDelayMs` to `maxDelayMs`, less a random half of it, so that many clients do not come back at
 * once; Retry-After replaces it when it is not too long. Attempts are bounded, and all of it can be configured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { abortError } from '../src/errors.ts';
import { RegistryError } from './errors.ts';
import type { RetryPolicy } from './options.ts';

/** How long to wait before attempt `attempt + 1`, undefined when the error is final. `attempt` counts from 1. */
export function delayBeforeRetry(
  error: unknown,
  attempt: number,
  attempts: number,
  policy: RetryPolicy,
): number | undefined {
  if (!(error instanceof RegistryError) || !error.temporary || attempt >= Math.min(attempts, error.maxAttempts))
    return undefined;
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= policy.maxRetryAfterMs ? error.retryAfterMs : undefined;
  }
  const full = Math.min(policy.baseDelayMs * 2 ** (attempt - 1), policy.maxDelayMs);
  return Math.round(full / 2 + (Math.random() * full) / 2);
}

/** Retry-After: seconds or a date. RFC 9110, 10.2.3. */
export function parseRetryAfter(value: string | undefined, now: number = Date.now()): number | undefined {
  if (value === undefined) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal && { signal });
  } catch (error) {
    throw signal?.aborted ? abortError(signal) : error;
  }
}
