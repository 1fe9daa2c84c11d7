/**
 * Which proxy a request goes through: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case, by the rules
 * that curl and Go share. Loopback addresses are never proxied.
 */
import { BlockList, isIP } from 'node:net';
import { TslayerError } from '../../src/errors.ts';
import { isLoopbackHost } from '../endpoint.ts';
import { printableUrl } from './secrets.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The proxy for an address, undefined for none. */
export function proxyFor(url: URL, env: Env): URL | undefined {
  if (isLoopbackHost(url.host) || isExempt(url, variable(env, 'NO_PROXY'))) return undefined;
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  // A CGI request's `Proxy:` header arrives as HTTP_PROXY (CVE-2016-5385): there only the lower case counts.
  const own = name === 'HTTP_PROXY' && env.REQUEST_METHOD ? env.http_proxy : variable(env, name);
  const text = own || variable(env, 'ALL_PROXY');
  return text ? parseProxy(text) : undefined;
}

export function parseProxy(text: string): URL {
  const url = URL.parse(/^[a-z0-9]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.hostname !== '') return url;
  const shown = url ? printableUrl(url) : 'the proxy';
  throw new TslayerError('UNSUPPORTED', `${shown} cannot be used: only http and https proxies are`, {
    hint: 'set HTTPS_PROXY to http://host:port',
  });
}

function variable(env: Env, name: string): string | undefined {
  return env[name.toLowerCase()] || env[name] || undefined;
}

/** NO_PROXY: names with their subdomains, `.suffix`, addresses, networks, each perhaps with a port; `*` is all. */
function isExempt(url: URL, list: string | undefined): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return (list ?? '')
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => matches(entry.toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [, address = entry, entryPort] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== undefined && entryPort !== port) return false;
  const name = address.replace(/^\[|\]$/g, '').replace(/^\*(?=\.)/, '');
  if (name.includes('/')) return inNetwork(host, name);
  if (isIP(name) !== 0 || isIP(host) !== 0) return host === name;
  return name.startsWith('.') ? host.endsWith(name) : host === name || host.endsWith(`.${name}`);
}

function inNetwork(host: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/');
  const family = isIP(base);
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(bits)) return false;
  const list = new BlockList();
  try {
    list.addSubnet(base, Number(bits), family === 4 ? 'ipv4' : 'ipv6');
  } catch {
    return false;
  }
  return list.check(host, family === 4 ? 'ipv4' : 'ipv6');
}

export function proxyAuthorization(proxy: URL): string | undefined {
  if (proxy.username === '' && proxy.password === '') return undefined;
  const pair = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}
