/** Addresses of registries and mirrors, as people and configuration files write them. */
import { TslayerError } from '../../src/errors.ts';
import { isLoopbackHost } from '../endpoint.ts';

/** Docker Hub's API is not where its name points to. */
export const HUB = 'docker.io';
const HUB_API = 'registry-1.docker.io';

export interface Address {
  /** `https://host[:port]` */
  readonly origin: string;
  /** host[:port] */
  readonly host: string;
  /** What stands before the repository, without slashes at its ends; empty for none. */
  readonly prefix: string;
}

/** `[scheme://]host[:port][/prefix]`; without a scheme: HTTP for loopback and the given ones, else HTTPS. */
export function parseAddress(text: string, isPlain: (host: string) => boolean = isLoopbackHost): Address {
  const scheme = /^(https?):\/\//.exec(text)?.[1];
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3);
  const host = rest.split('/', 1)[0] ?? '';
  const url = URL.parse(`${scheme ?? (isPlain(host) ? 'http' : 'https')}://${rest}`);
  if (!url || host === '' || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new TslayerError(
      'INVALID_ARGUMENT',
      `not the address of a registry: ${JSON.stringify(text.replace(/\/\/[^/]*@/, '//***@'))}`,
      {
        hint: 'write [https://]host[:port][/prefix]; credentials come from `tslayer login`',
      },
    );
  }
  return { origin: url.origin, host: url.host, prefix: url.pathname.replace(/^\/+|\/+$/g, '') };
}

/** Where a registry's API is: `docker.io` → `registry-1.docker.io`. */
export function apiHost(registry: string): string {
  return registry === HUB ? HUB_API : registry;
}
