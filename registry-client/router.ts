/** From a name and what is wanted of it to the endpoints that are tried. */
import { TslayerError } from '../src/errors.ts';
import { nameOf } from '../src/oci/reference.ts';
import type { OperationOptions } from '../src/progress.ts';
import { describeChain, EndpointChain } from './chain.ts';
import type { Capability, Endpoint } from './endpoint.ts';
import type { Health } from './health.ts';
import type { Hosts, Target } from './hosts/hosts.ts';
import type { Settings } from './options.ts';
import type { Effort } from './requester.ts';

export class Router {
  readonly #hosts: Hosts;
  readonly #health: Health;
  readonly #settings: Settings;

  constructor(hosts: Hosts, health: Health, settings: Settings) {
    this.#hosts = hosts;
    this.#health = health;
    this.#settings = settings;
  }

  /** The endpoints to use, in order; throws when configuration leaves none. */
  async candidates(target: Target, capability: Capability): Promise<Endpoint[]> {
    const all = await this.#hosts.endpoints(target);
    const able = all.filter((endpoint) => endpoint.skipped === undefined && endpoint.capabilities.includes(capability));
    if (able.length === 0) {
      throw new TslayerError(
        'DENIED',
        `${nameOf(target)}: no endpoint is left to ${capability} from: ${describeChain(all)}`,
      );
    }
    const known = this.#withKnownScheme(able);
    const up = known.filter((endpoint) => !this.#health.isLeftAlone(endpoint));
    return up.length === 0 ? known : up;
  }

  /** The registry itself, without its mirrors: they know some tags, it knows all of them. */
  async primaries(target: Target): Promise<Endpoint[]> {
    const all = await this.#hosts.endpoints(target);
    const primaries = all.filter((endpoint) => endpoint.primary && endpoint.skipped === undefined);
    if (primaries.length > 0) return this.#withKnownScheme(primaries);
    throw new TslayerError('DENIED', `${nameOf(target)}: no endpoint is left to ask: ${describeChain(all)}`);
  }

  /** Leaves out the scheme that was guessed wrong once the other one has answered. */
  #withKnownScheme(endpoints: Endpoint[]): Endpoint[] {
    return endpoints.filter((endpoint, index) => {
      const next = endpoints[index + 1];
      return !next?.otherScheme || !this.#health.hasAnswered(next) || this.#health.hasAnswered(endpoint);
    });
  }

  chain(endpoints: readonly Endpoint[]): EndpointChain {
    return new EndpointChain(endpoints, this.#health, this.#settings.retry);
  }

  /** The first endpoint's success. */
  async first<T>(
    target: Target,
    capability: Capability,
    options: OperationOptions | undefined,
    act: (endpoint: Endpoint, effort: Effort) => Promise<T>,
  ): Promise<T> {
    return await this.firstOf(await this.candidates(target, capability), options, act);
  }

  async firstOf<T>(
    endpoints: readonly Endpoint[],
    options: OperationOptions | undefined,
    act: (endpoint: Endpoint, effort: Effort) => Promise<T>,
  ): Promise<T> {
    const chain = this.chain(endpoints);
    for (;;) {
      try {
        return await act(chain.current, chain.effort(options));
      } catch (error) {
        chain.advance(error, options?.signal);
      }
    }
  }
}
