/** Which origins are in the public internet, by the addresses that connections really ended at. */
import { isIP } from 'node:net';
import { isLoopbackHost } from '../endpoint.ts';
import { isPrivateAddress } from './address-guard.ts';

export class Origins {
  readonly #connected = new Map<string, string>();

  /** An origin that was public once stays so: a name that leads inside the second time must not open the door. */
  note(origin: string, address: string | undefined): void {
    const known = this.#connected.get(origin);
    if (address !== undefined && (known === undefined || isPrivateAddress(known))) this.#connected.set(origin, address);
  }

  /** Behind a proxy, addresses are unknown: then a name counts as public. */
  isPublic(origin: string): boolean {
    const { hostname } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '');
    const address = this.#connected.get(origin) ?? (isIP(host) === 0 ? undefined : host);
    return address === undefined ? !isLoopbackHost(hostname) : !isPrivateAddress(address);
  }
}
