/** An endpoint: one place that answers for a repository, the registry itself or a mirror of it. */

export type Capability = 'pull' | 'resolve' | 'push';

/** How to connect: what distinguishes connections to the same address that must not be shared. */
export interface Connection {
  /** PEM of certificate authorities, in addition to the system's. */
  readonly ca?: string;
  /** PEM of a client certificate and its key. */
  readonly cert?: string;
  readonly key?: string;
  /** Accept any certificate. */
  readonly skipVerify?: boolean;
  /** `http://proxy:3128`, in place of what the environment says. */
  readonly proxy?: string;
}

export interface Endpoint {
  /** The API's root without a slash at its end: `https://registry-1.docker.io/v2`. */
  readonly root: string;
  /** The repository's name here, which a mirror may have rewritten. */
  readonly repository: string;
  /** What credentials are looked up by: `docker.io`, `ghcr.io`, a mirror's own host. */
  readonly registry: string;
  /** `registry`, or what made it a mirror: an option, a file. */
  readonly source: string;
  /** The registry itself, or what stands in its place; its word decides when all endpoints fail. */
  readonly primary: boolean;
  readonly capabilities: readonly Capability[];
  readonly connection: Connection;
  /** Sent with every request to the endpoint itself, as hosts.toml may ask for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** containerd's mirrors learn from `?ns=` which registry was meant. */
  readonly namespace?: string;
  /** Tried only when the endpoint before it could not be talked to: the other scheme of the same host. */
  readonly otherScheme?: boolean;
  /** A foreign layer's own address. It gets no credentials, whatever it asks for. */
  readonly foreign?: { readonly url: string; readonly registryOrigin: string };
  /** Why it must not be used. */
  readonly skipped?: string;
}

/** Scheme, host and port: what a credential belongs to. */
export function originOf(endpoint: Endpoint): string {
  return new URL(endpoint.root).origin;
}

/** As messages show it: no path, no credentials. */
export function endpointName(endpoint: Endpoint): string {
  return originOf(endpoint);
}

const LOOPBACK = /^(?:localhost|(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/** Whether a host[:port] can only be this machine. */
export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(host);
}
