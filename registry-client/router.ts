/**
 * Tries the endpoints of a repository in order. What went wrong at each one that was passed over is part of the error.
 * An endpoint that could not be reached is left alone for a while when there is another one, so that a dead mirror
 * costs its timeout once and not once a layer.
 */
import { isTslayerError, TslayerError } from '../src/errors.ts';
import { nameOf } from '../src/oci/reference.ts';
import type { OperationOptions } from '../src/progress.ts';
import { type Capability, type Endpoint, endpointName } from './endpoint.ts';
import { RegistryError } from './errors.ts';
import type { Hosts, Target } from './hosts/hosts.ts';
import type { Settings } from './options.ts';
import type { Effort } from './requester.ts';

const COOL_DOWN_MS = 30_000;

export class Router {
  readonly #hosts: Hosts;
  readonly #settings: Settings;
  readonly #unreachable = new Map<string, number>();

  constructor(hosts: Hosts, settings: Settings) {
    this.#hosts = hosts;
    this.#settings = settings;
  }

  /** The endpoints to use, in order; throws when configuration leaves none. */
  async candidates(target: Target, capability: Capability): Promise<Endpoint[]> {
    const all = await this.#hosts.endpoints(target);
    const able = all.filter((endpoint) => endpoint.capabilities.includes(capability) && endpoint.skipped === undefined);
    if (able.length === 0) {
      const why = all.map((endpoint) => endpoint.skipped ?? `${endpointName(endpoint)} does not take ${capability}`);
      throw new TslayerError('DENIED', `${nameOf(target)}: no endpoint may be asked: ${why.join('; ')}`);
    }
    const now = performance.now();
    const isUp = (endpoint: Endpoint): boolean => (this.#unreachable.get(endpointName(endpoint)) ?? 0) <= now;
    const up = able.filter(isUp);
    return up.length === 0 ? able : up;
  }

  /** How hard to try at the endpoint in that place. */
  effort(options: OperationOptions | undefined, isLast: boolean): Effort {
    const { attempts, attemptsBeforeNext } = this.#settings.retry;
    return { ...options, attempts: isLast ? attempts : Math.min(attempts, attemptsBeforeNext) };
  }

  markUnreachable(endpoint: Endpoint): void {
    this.#unreachable.set(endpointName(endpoint), performance.now() + COOL_DOWN_MS);
  }

  /** The first endpoint's success. */
  async first<T>(
    target: Target,
    capability: Capability,
    options: OperationOptions | undefined,
    act: (endpoint: Endpoint, effort: Effort) => Promise<T>,
  ): Promise<T> {
    const candidates = await this.candidates(target, capability);
    const failures: unknown[] = [];
    for (const [index, endpoint] of candidates.entries()) {
      const isLast = index === candidates.length - 1;
      try {
        return await act(endpoint, this.effort(options, isLast));
      } catch (error) {
        if (isTslayerError(error, 'ABORTED') || options?.signal?.aborted) throw error;
        failures.push(error);
        if (!isLast && isUnreachable(error)) this.markUnreachable(endpoint);
      }
    }
    throw joinFailures(failures);
  }
}

/** No answer at all; an answer that says no is the endpoint's business for this one request. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'NETWORK' && error.status === undefined;
}

/** The last error decides (it is the registry's own); what was passed over on the way is told with it. */
export function joinFailures(failures: readonly unknown[]): unknown {
  const last = failures.at(-1);
  if (failures.length < 2 || !isTslayerError(last)) return last;
  const earlier = failures
    .slice(0, -1)
    .map((failure) => (failure instanceof Error ? failure.message : String(failure)));
  const message = `${last.message} (before that: ${earlier.join('; ')})`;
  if (!(last instanceof RegistryError)) return new TslayerError(last.code, message, { hint: last.hint, cause: last });
  const { hint, status, wireCodes, retryAfterMs, temporary } = last;
  return new RegistryError(last.code, message, {
    hint,
    cause: last,
    ...(status !== undefined && { status }),
    wireCodes,
    retryAfterMs,
    temporary,
  });
}
