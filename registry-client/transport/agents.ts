/**
 * Keep-alive connection pools: one for each way of connecting, because a connection made with one client
 * certificate, through one proxy or without the address guard must never carry a request that wants another.
 */
import type { Agent, AgentOptions } from 'node:http';
import type { AgentOptions as TlsAgentOptions } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { type Connection, isLoopbackHost } from '../endpoint.ts';
import type { Settings } from '../options.ts';
import { guardedLookup, isPrivateAddress } from './address-guard.ts';
import { http, https } from './builtin.ts';
import { parseProxy, proxyAuthorization, proxyFor } from './proxy.ts';
import { forwardingAgent, tunnelingAgent } from './proxy-agents.ts';
import type { Secrets } from './secrets.ts';

/** Large reads: fewer turns of the event loop for each megabyte of a blob. */
const SOCKET_BUFFER = 1024 * 1024;
/** Idle connections are closed before most servers do it, which would look like a reset. */
const IDLE_MS = 15_000;

export class Agents {
  readonly #settings: Settings;
  readonly #secrets: Secrets;
  readonly #agents = new Map<string, Agent>();
  /** The address that each origin was last connected at. */
  readonly #connected = new Map<string, string>();

  constructor(settings: Settings, secrets: Secrets) {
    this.#settings = settings;
    this.#secrets = secrets;
  }

  /** @param guarded refuse to connect to private addresses */
  agentFor(url: URL, connection: Connection, guarded: boolean): Agent {
    const { proxy: own, ...tls } = connection;
    const proxy = own === undefined ? proxyFor(url, this.#settings.env) : parseProxy(own);
    const key = JSON.stringify([url.protocol, guarded, tls, proxy?.href]);
    let agent = this.#agents.get(key);
    if (!agent) {
      agent = this.#create(url.protocol, tls, guarded, proxy);
      this.#agents.set(key, agent);
    }
    return agent;
  }

  #create(protocol: string, tls: Connection, guarded: boolean, proxy: URL | undefined): Agent {
    const { connectionsPerHost } = this.#settings.limits;
    const options: AgentOptions & { highWaterMark: number } = {
      keepAlive: true,
      maxSockets: connectionsPerHost,
      maxFreeSockets: connectionsPerHost,
      timeout: IDLE_MS,
      scheduling: 'lifo',
      highWaterMark: SOCKET_BUFFER,
      // Behind a proxy the names are its to resolve.
      ...(guarded && !proxy && { lookup: guardedLookup }),
    };
    if (proxy) {
      this.#secrets.add(decodeURIComponent(proxy.password));
      this.#secrets.add(proxyAuthorization(proxy)?.slice('Basic '.length));
      if (protocol === 'http:') return forwardingAgent(proxy, options);
      return tunnelingAgent(proxy, { ...options, ...tlsOptions(tls) }, this.#settings.timeouts.connectMs);
    }
    const agent = protocol === 'http:' ? new http.Agent(options) : new https.Agent({ ...options, ...tlsOptions(tls) });
    return this.#watch(agent, protocol);
  }

  /** Notes the address that each new connection ends at. */
  #watch(agent: Agent, protocol: string): Agent {
    const create = agent.createConnection;
    agent.createConnection = (options, callback) => {
      const socket = create.call(agent, options, callback) as Socket | undefined;
      const { host, port } = options as { host?: string; port?: string | number };
      socket?.once('connect', () => {
        const origin = URL.parse(`${protocol}//${host?.includes(':') ? `[${host}]` : host}:${port}`)?.origin;
        if (origin && socket.remoteAddress) this.#connected.set(origin, socket.remoteAddress);
      });
      return socket;
    };
    return agent;
  }

  /**
   * Whether an origin is in the public internet, by the address that was connected to last. Behind a proxy that is
   * unknown: then a name counts as public.
   */
  isPublic(origin: string): boolean {
    const { hostname } = new URL(origin);
    const host = hostname.replace(/^\[|\]$/g, '');
    const address = this.#connected.get(origin) ?? (isIP(host) === 0 ? undefined : host);
    return address === undefined ? !isLoopbackHost(hostname) : !isPrivateAddress(address);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }
}

function tlsOptions({ ca, cert, key, skipVerify }: Connection): TlsAgentOptions {
  return {
    // Naming a `ca` replaces the default ones in node:tls; a registry's own authority comes in addition.
    ...(ca !== undefined && { ca: [...process.getBuiltinModule('node:tls').rootCertificates, ca] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(skipVerify && { rejectUnauthorized: false }),
  };
}
