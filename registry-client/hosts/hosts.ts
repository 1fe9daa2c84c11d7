/** Turns a repository into the endpoints that may answer for it, in the order in which they are asked. */
import type { Reference } from '../../src/oci/reference.ts';
import type { Repository } from '../client.ts';
import { type Endpoint, isLoopbackHost } from '../endpoint.ts';
import type { RegistryClientOptions } from '../options.ts';
import { apiHost, parseAddress } from './address.ts';

/** A repository, and what is wanted of it: a mirror may serve digests only. */
export type Target = Repository & Pick<Reference, 'tag' | 'digest'>;

export interface Hosts {
  /** At least one; entries with `skipped` say why they are not used. */
  endpoints(target: Target): Promise<readonly Endpoint[]>;
}

/** Mirrors from the options, then the registry itself. */
export function configuredHosts(options: RegistryClientOptions): Hosts {
  const isPlain = (host: string): boolean => isLoopbackHost(host) || (options.plainHttp ?? []).includes(host);
  return {
    async endpoints(target) {
      const mirrors = mirrorsOf(options.mirrors ?? {}, target).map((text) => mirrorEndpoint(text, target, isPlain));
      return [...mirrors, ...registryEndpoints(target, options, isPlain)];
    },
  };
}

/** The mirrors of the longest name that is a prefix of the repository's. */
function mirrorsOf(mirrors: Readonly<Record<string, readonly string[]>>, target: Target): readonly string[] {
  const name = `${target.registry}/${target.repository}`;
  const keys = Object.keys(mirrors).filter((key) => name === key || name.startsWith(`${key}/`));
  const longest = keys.sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? [] : (mirrors[longest] ?? []);
}

function mirrorEndpoint(text: string, target: Target, isPlain: (host: string) => boolean): Endpoint {
  const { origin, host, prefix } = parseAddress(text, isPlain);
  return {
    root: `${origin}/v2`,
    repository: prefix === '' ? target.repository : `${prefix}/${target.repository}`,
    registry: host,
    source: 'mirror from the options',
    capabilities: ['resolve', 'pull'],
    connection: {},
  };
}

function registryEndpoints(
  target: Target,
  options: RegistryClientOptions,
  isPlain: (host: string) => boolean,
): Endpoint[] {
  const insecure = (options.insecure ?? []).includes(target.registry);
  const { origin } = parseAddress(apiHost(target.registry), isPlain);
  const endpoint: Endpoint = {
    root: `${origin}/v2`,
    repository: target.repository,
    registry: target.registry,
    source: 'registry',
    capabilities: ['resolve', 'pull', 'push'],
    connection: insecure ? { skipVerify: true } : {},
  };
  if (!insecure || origin.startsWith('http:')) return [endpoint];
  return [endpoint, { ...endpoint, root: endpoint.root.replace(/^https:/, 'http:'), connection: {} }];
}
