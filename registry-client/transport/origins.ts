/** Which origins are in the public internet, by the addresses that connections really ended at. */
import { isIP } from 'node:net';
import { isLoopbackHost } from '../endpoint.ts';
import { isPrivateAddress } from './address-guard.ts';

export class Origins {
  readonly #connected = new Map<string, string>();

  note(origin: string, address: string | undefined): void {
    if (address !== undefined) this.#connected.set(origin, address);
  }

  /** Behind a proxy, addresses are unknown: then a name counts as public. */
  isPublic(origin: string): boolean {
    const { hostname } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '');
    const address = this.#connected.get(origin) ?? (isIP(host) === 0 ? undefined : host);
    return address === undefined ? !isLoopbackHost(hostname) : !isPrivateAddress(address);
  }
}
