/**
 * The endpoints of one operation, tried in order. What went wrong at each one that was given up is part of the error
 * in the end.
 */
import { isTslayerError, TslayerError } from '../src/errors.ts';
import type { OperationOptions } from '../src/progress.ts';
import { type Endpoint, originOf } from './endpoint.ts';
import { errnoIn, RegistryError } from './errors.ts';
import type { Health } from './health.ts';
import type { RetryPolicy } from './options.ts';
import type { Effort } from './requester.ts';

interface Failure {
  readonly endpoint: Endpoint;
  readonly error: unknown;
}

/** Tries at an endpoint whose scheme was only guessed and that never answered. */
const GUESSED_ATTEMPTS = 3;

export class EndpointChain {
  readonly #endpoints: readonly Endpoint[];
  readonly #health: Health;
  readonly #policy: RetryPolicy;
  readonly #failures: Failure[] = [];
  #index = 0;

  /** @param endpoints at least one */
  constructor(endpoints: readonly Endpoint[], health: Health, policy: RetryPolicy) {
    this.#endpoints = endpoints;
    this.#health = health;
    this.#policy = policy;
  }

  get current(): Endpoint {
    return this.#endpoints[this.#index] as Endpoint;
  }

  /** How hard to try at the current endpoint: a mirror has the registry behind it. */
  effort(options: OperationOptions | undefined): Effort {
    const { attempts, attemptsBeforeNext } = this.#policy;
    const later = this.#endpoints.slice(this.#index + 1);
    const hasNext = later.some((endpoint) => !endpoint.otherScheme);
    const isGuess = later[0]?.otherScheme && !this.#health.hasAnswered(this.current);
    return {
      ...options,
      attempts: hasNext ? Math.min(attempts, attemptsBeforeNext) : attempts,
      ...(isGuess && { silentAttempts: GUESSED_ATTEMPTS }),
    };
  }

  /** Gives up the current endpoint; throws when it was the last one, or when the caller gave up. */
  advance(error: unknown, signal: AbortSignal | undefined): void {
    if (signal?.aborted || isTslayerError(error, 'ABORTED')) throw error;
    this.#failures.push({ endpoint: this.current, error });
    const next = this.#endpoints.findIndex(
      (endpoint, index) => index > this.#index && this.#isWorthTrying(endpoint, error),
    );
    if (next < 0) throw joined(this.#failures);
    if (isUnreachable(error) && !this.#endpoints[next]?.otherScheme) this.#health.markUnreachable(this.current);
    this.#index = next;
  }

  #isWorthTrying(endpoint: Endpoint, error: unknown): boolean {
    return !endpoint.otherScheme || (mayBeOtherScheme(error) && !this.#health.hasAnswered(this.current));
  }
}

/** No answer at all; an answer that says no is about this one request. */
function isUnreachable(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'NETWORK' && error.status === undefined;
}

/** TLS servers answer plain HTTP with 400 or hang up; plain servers answer TLS with something that is no TLS. */
function mayBeOtherScheme(error: unknown): boolean {
  if (!(error instanceof RegistryError)) return false;
  return error.status === 400 || (isUnreachable(error) && errnoIn(error) !== 'ECONNREFUSED');
}

/** The most telling error, with the others in brackets: an answer of the registry itself tells most. */
function joined(all: readonly Failure[]): unknown {
  const failures = withoutWrongGuesses(all);
  const telling =
    failures.findLast(({ endpoint, error }) => endpoint.primary && !isUnreachable(error)) ??
    failures.findLast(({ endpoint }) => endpoint.primary) ??
    failures.at(-1);
  const error = telling?.error;
  const others = failures.filter((failure) => failure !== telling);
  if (others.length === 0 || !(error instanceof TslayerError)) return error;
  const notes = others.map((other) => (other.error instanceof Error ? other.error.message : String(other.error)));
  return withNotes(error, `${error.message} (other endpoints: ${notes.join('; ')})`);
}

/** Of the two schemes of one host, the failure of the one that it seems to speak. */
function withoutWrongGuesses(failures: readonly Failure[]): Failure[] {
  const kept: Failure[] = [];
  for (const failure of failures) {
    if (!failure.endpoint.otherScheme) kept.push(failure);
    else if (speaksScheme(failure.error)) kept.splice(-1, 1, failure);
  }
  return kept;
}

/** An answer, or a quarrel about certificates; silence says nothing. */
function speaksScheme(error: unknown): boolean {
  return error instanceof RegistryError && (error.tls === 'refused' || !isUnreachable(error));
}

function withNotes(error: TslayerError, message: string): TslayerError {
  if (!(error instanceof RegistryError))
    return new TslayerError(error.code, message, { hint: error.hint, cause: error });
  const { hint, status, wireCodes, retryAfterMs, temporary } = error;
  const known = status === undefined ? {} : { status };
  return new RegistryError(error.code, message, { hint, cause: error, ...known, wireCodes, retryAfterMs, temporary });
}

/** For messages that name several places. */
export function describeChain(endpoints: readonly Endpoint[]): string {
  return endpoints.map((endpoint) => endpoint.skipped ?? originOf(endpoint)).join('; ');
}
