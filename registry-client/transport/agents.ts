/**
 * Keep-alive connection pools: one for each way of connecting, because a connection made with one client
 * certificate, through one proxy or without the address guard must never carry a request that wants another.
 */
import type { Agent, AgentOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { Connection } from '../endpoint.ts';
import type { Settings } from '../options.ts';
import { guardedLookup } from './address-guard.ts';
import { http, https } from './builtin.ts';
import type { Origins } from './origins.ts';
import { parseProxy, proxyAuthorization, proxyFor } from './proxy.ts';
import { forwardingAgent, tunnelingAgent } from './proxy-agents.ts';
import type { Secrets } from './secrets.ts';
import { tlsOptions } from './tls.ts';

/** Large reads: fewer turns of the event loop for each megabyte of a blob. */
const SOCKET_BUFFER = 1024 * 1024;
/** Idle connections are closed before most servers do it, which would look like a reset. */
const IDLE_MS = 15_000;

export class Agents {
  readonly #settings: Settings;
  readonly #secrets: Secrets;
  readonly #agents = new Map<string, Agent>();
  readonly #origins: Origins;

  constructor(settings: Settings, secrets: Secrets, origins: Origins) {
    this.#origins = origins;
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
        if (origin) this.#origins.note(origin, socket.remoteAddress);
      });
      return socket;
    };
    return agent;
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
    this.#agents.clear();
  }
}
