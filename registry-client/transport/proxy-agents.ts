/**
 * Agents that go through a proxy: plain requests name the whole address (RFC 9112, 3.2.2), encrypted ones go through
 * a tunnel (RFC 9110, 9.3.6), so that the proxy sees neither credentials nor content.
 */
import type { Agent, AgentOptions, ClientRequest, IncomingMessage } from 'node:http';
import type { AgentOptions as TlsAgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import { TransportProblem } from '../errors.ts';
import { http, https } from './builtin.ts';
import { proxyAuthorization } from './proxy.ts';

/** What node:http calls for each request; its types leave it out. */
interface RequestAdder {
  addRequest(request: ClientRequest, options: { host?: string; port?: number | string; path?: string }): void;
}

/** For http: addresses. */
export function forwardingAgent(proxy: URL, options: AgentOptions): Agent {
  const agent = new (proxy.protocol === 'https:' ? https : http).Agent(options);
  const adder = agent as Agent & RequestAdder;
  const add = adder.addRequest.bind(adder);
  adder.addRequest = (request, target) => {
    request.path = `http://${request.getHeader('host')}${request.path}`;
    const authorization = proxyAuthorization(proxy);
    if (authorization !== undefined) request.setHeader('proxy-authorization', authorization);
    add(request, { ...target, host: hostOf(proxy), port: portOf(proxy) });
  };
  return agent;
}

/** For https: addresses. */
export function tunnelingAgent(proxy: URL, options: TlsAgentOptions, connectMs: number): Agent {
  const agent = new https.Agent(options);
  const encrypt = agent.createConnection.bind(agent);
  agent.createConnection = (target, callback) => {
    const { host = '', port = 443 } = target as { host?: string; port?: number | string };
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    openTunnel(proxy, authority, connectMs).then(
      (socket) => callback?.(null, encrypt({ ...target, socket } as typeof target, undefined) as Socket),
      (error: Error) => callback?.(error, undefined as never),
    );
    return undefined;
  };
  return agent;
}

function openTunnel(proxy: URL, authority: string, connectMs: number): Promise<Socket> {
  const authorization = proxyAuthorization(proxy);
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === 'https:' ? https : http).request({
      host: hostOf(proxy),
      port: portOf(proxy),
      method: 'CONNECT',
      path: authority,
      agent: false,
      timeout: connectMs,
      headers: { host: authority, ...(authorization !== undefined && { 'proxy-authorization': authorization }) },
    });
    request.once('connect', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      if (response.statusCode === 200 && head.length === 0) return resolve(socket);
      socket.destroy();
      reject(tunnelError(proxy, response.statusCode ?? 0));
    });
    request.once('response', (response) => {
      response.destroy();
      reject(tunnelError(proxy, response.statusCode ?? 0));
    });
    request.once('timeout', () => request.destroy(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })));
    request.once('error', reject);
    request.end();
  });
}

function tunnelError(proxy: URL, status: number): TransportProblem {
  const denied = status === 407 || status === 403;
  return new TransportProblem(`the proxy ${proxy.host} answered ${status}`, {
    code: denied ? 'DENIED' : 'NETWORK',
    temporary: status >= 500,
    hint: status === 407 ? 'write the credentials into HTTPS_PROXY' : 'look at HTTPS_PROXY and NO_PROXY',
  });
}

function hostOf(proxy: URL): string {
  return proxy.hostname.replace(/^\[|\]$/g, '');
}

function portOf(proxy: URL): number {
  return Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80));
}
