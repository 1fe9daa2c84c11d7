/**
 * Keep-alive connection pools: one for each way of connecting, because a connection made with one client
 * certificate, or without the address guard, must never carry a request that wants another.
 */
import type { Agent, AgentOptions } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { type Connection, isLoopbackHost } from '../endpoint.ts';
import type { Limits } from '../options.ts';
import { guardedLookup, isPrivateAddress } from './address-guard.ts';
import { http, https } from './builtin.ts';

/** Large reads: fewer turns of the event loop for each megabyte of a blob. */
const SOCKET_BUFFER = 1024 * 1024;
/** Idle connections are closed before most servers do it, which would look like a reset. */
const IDLE_MS = 15_000;

export class Agents {
  readonly #limits: Limits;
  readonly #agents = new Map<string, Agent>();
  readonly #connected = new Map<string, string>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  agentFor(url: URL, connection: Connection, guarded: boolean): Agent {
    const key = JSON.stringify([url.protocol, guarded, connection]);
    let agent = this.#agents.get(key);
    if (!agent) {
      agent = this.#create(url, connection, guarded);
      this.#agents.set(key, agent);
    }
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
    if (address !== undefined) return !isPrivateAddress(address);
    return !isLoopbackHost(hostname);
  }

  /** Notes the address that each new connection ends at. */
  #watch(agent: Agent, protocol: string): Agent {
    const create = agent.createConnection;
    agent.createConnection = (options, callback) => {
      const socket = create.call(agent, options, callback) as Socket | undefined;
      const { host, port } = options as { host?: string; port?: string | number };
      socket?.once('connect', () => {
        const origin = URL.parse(`${protocol}//${host?.includes(':') ? `[${host}]` : host}:${port}`)?.origin;
        if (origin !== undefined && socket.remoteAddress !== undefined)
          this.#connected.set(origin, socket.remoteAddress);
      });
      return socket;
    };
    return agent;
  }

  #create(url: URL, connection: Connection, guarded: boolean): Agent {
    const options: AgentOptions & { highWaterMark: number } = {
      keepAlive: true,
      maxSockets: this.#limits.connectionsPerHost,
      maxFreeSockets: this.#limits.connectionsPerHost,
      timeout: IDLE_MS,
      scheduling: 'lifo',
      highWaterMark: SOCKET_BUFFER,
      ...(guarded && { lookup: guardedLookup }),
    };
    if (url.protocol === 'http:') return this.#watch(new http.Agent(options), url.protocol);
    const { ca, cert, key, skipVerify } = connection;
    const agent = new https.Agent({
      ...options,
      ...(ca !== undefined && { ca: [...systemAuthorities(), ca] }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(skipVerify && { rejectUnauthorized: false }),
    });
    return this.#watch(agent, url.protocol);
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }
}

/** Naming a `ca` replaces the default ones in node:tls; a registry's own authority comes in addition. */
function systemAuthorities(): readonly string[] {
  return process.getBuiltinModule('node:tls').rootCertificates;
}
