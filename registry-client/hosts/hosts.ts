/**
 * Turns a repository into the endpoints that may answer for it, in the order in which they are asked: mirrors from the
 * options, then what the first configuration that knows the name says (registries.conf, then hosts.toml), then the
 * registry itself. Certificates are added by host.
 */
import type { Reference } from '../../src/oci/reference.ts';
import type { Repository } from '../client.ts';
import { type Endpoint, isLoopbackHost } from '../endpoint.ts';
import type { RegistryClientOptions } from '../options.ts';
import { apiHost, parseAddress } from './address.ts';
import { HostCertificates } from './certificates.ts';
import type { ConfigPlaces } from './files.ts';
import { HostsToml } from './hosts-toml.ts';
import { RegistriesConf } from './registries-conf.ts';
import { withOtherScheme } from './scheme.ts';

/** A repository, and by which name its content is wanted: some mirrors serve digests only. */
export type Target = Repository & Pick<Reference, 'tag' | 'digest'>;

/** A configuration that may know where a name leads. */
export interface HostSource {
  /** Undefined when it says nothing about the name. */
  endpoints(target: Target): Promise<readonly Endpoint[] | undefined>;
}

export class Hosts {
  readonly #options: RegistryClientOptions;
  readonly #sources: readonly HostSource[];
  readonly #certificates: HostCertificates;

  constructor(options: RegistryClientOptions, places: ConfigPlaces) {
    this.#options = options;
    this.#sources = [new RegistriesConf(places), new HostsToml(places)];
    this.#certificates = new HostCertificates(places);
  }

  /** At least one; entries with `skipped` say why they are not used. */
  async endpoints(target: Target): Promise<readonly Endpoint[]> {
    const mirrors = mirrorsOf(this.#options.mirrors ?? {}, target).flatMap((text) => this.#mirror(text, target));
    const own = (await this.#configured(target)) ?? this.#registry(target);
    return [...mirrors, ...own].map((endpoint) => this.#withCertificates(endpoint));
  }

  async #configured(target: Target): Promise<readonly Endpoint[] | undefined> {
    // What was said for this call counts more than what files say.
    if (this.#isPlain(target.registry) || this.#isInsecure(target.registry)) return undefined;
    for (const source of this.#sources) {
      const endpoints = await source.endpoints(target);
      if (endpoints) return endpoints;
    }
    return undefined;
  }

  #isPlain(host: string): boolean {
    return (this.#options.plainHttp ?? []).includes(host);
  }

  #isInsecure(host: string): boolean {
    return (this.#options.insecure ?? []).includes(host);
  }

  #mirror(text: string, target: Target): Endpoint[] {
    const { origin, host, prefix } = parseAddress(text, (name) => isLoopbackHost(name) || this.#isPlain(name));
    const insecure = this.#isInsecure(host);
    const endpoint: Endpoint = {
      root: `${origin}/v2`,
      repository: prefix === '' ? target.repository : `${prefix}/${target.repository}`,
      registry: host,
      source: 'mirror in the options',
      primary: false,
      capabilities: ['resolve', 'pull'],
      connection: insecure ? { skipVerify: true } : {},
    };
    // A scheme that was written down is meant.
    return text.includes('://') ? [endpoint] : withOtherScheme(endpoint, insecure);
  }

  #registry(target: Target): Endpoint[] {
    const plain = this.#isPlain(target.registry);
    const insecure = this.#isInsecure(target.registry);
    const { origin } = parseAddress(apiHost(target.registry), (host) => plain || (isLoopbackHost(host) && !insecure));
    const endpoint: Endpoint = {
      root: `${origin}/v2`,
      repository: target.repository,
      registry: target.registry,
      source: 'registry',
      primary: true,
      capabilities: ['resolve', 'pull', 'push'],
      connection: insecure ? { skipVerify: true } : {},
    };
    return plain ? [endpoint] : withOtherScheme(endpoint, insecure);
  }

  #withCertificates(endpoint: Endpoint): Endpoint {
    if (!endpoint.root.startsWith('https:')) return endpoint;
    const found = this.#certificates.of(new URL(endpoint.root).host);
    return { ...endpoint, connection: { ...found, ...endpoint.connection } };
  }
}

/** The mirrors of the longest key that is a prefix of the repository's name. */
function mirrorsOf(mirrors: Readonly<Record<string, readonly string[]>>, target: Target): readonly string[] {
  const name = `${target.registry}/${target.repository}`;
  const keys = Object.keys(mirrors).filter((key) => name === key || name.startsWith(`${key}/`));
  const longest = keys.sort((a, b) => b.length - a.length)[0];
  return longest === undefined ? [] : (mirrors[longest] ?? []);
}
