/**
 * containerd's certs.d/HOST/hosts.toml (docs/hosts.md): hosts that are asked in order, then the server. The directory
 * is named after the registry; `_default` serves those without one.
 */
import { dirname, isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { TslayerError } from '../../src/errors.ts';
import { type Capability, type Connection, type Endpoint, isLoopbackHost } from '../endpoint.ts';
import { apiHost, HUB, parseAddress } from './address.ts';
import { type ConfigPlaces, parseToml, readIfThere } from './files.ts';
import type { HostSource, Target } from './hosts.ts';
import { withOtherScheme } from './scheme.ts';

const OneOrMore = v.union([v.string(), v.array(v.string())]);
const common = {
  capabilities: v.optional(v.array(v.picklist(['pull', 'resolve', 'push']))),
  ca: v.optional(OneOrMore),
  client: v.optional(v.union([v.string(), v.array(OneOrMore)])),
  skip_verify: v.optional(v.boolean(), false),
  header: v.optional(v.record(v.string(), OneOrMore), {}),
  override_path: v.optional(v.boolean(), false),
  proxy: v.optional(v.string()),
};
const HostTable = v.object(common);
const FileSchema = v.object({
  ...common,
  server: v.optional(v.string()),
  host: v.optional(v.record(v.string(), HostTable), {}),
});

type Table = v.InferOutput<typeof HostTable>;

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

export class HostsToml implements HostSource {
  readonly #places: ConfigPlaces;

  constructor(places: ConfigPlaces) {
    this.#places = places;
  }

  async endpoints(target: Target): Promise<readonly Endpoint[] | undefined> {
    const found = await this.#find(target.registry);
    if (!found) return undefined;
    const { path, text } = found;
    const { server, host, ...own } = await parseToml(text, FileSchema, path);
    const endpoints: Endpoint[] = [];
    for (const [address, table] of Object.entries(host)) {
      const endpoint = await hostEndpoint(address, table, target, path);
      endpoints.push({ ...endpoint, primary: false, source: `host in ${path}` });
    }
    return [...endpoints, ...(await serverEndpoints(server, own, target, path))];
  }

  async #find(registry: string): Promise<{ path: string; text: string } | undefined> {
    for (const name of [...hostDirectories(registry), '_default']) {
      for (const dir of this.#places.certsDirs) {
        const path = join(dir, name, 'hosts.toml');
        const text = await readIfThere(path);
        if (text !== undefined) return { path, text };
      }
    }
    return undefined;
  }
}

/** Directory names for a registry; a port is written `_5000_` where `:` is no good. */
export function hostDirectories(registry: string): string[] {
  const port = /:(\d+)$/.exec(registry)?.[1];
  return port === undefined ? [registry] : [`${registry.slice(0, -port.length - 1)}_${port}_`, registry];
}

async function serverEndpoints(
  server: string | undefined,
  table: Table,
  target: Target,
  path: string,
): Promise<Endpoint[]> {
  const address = server ?? apiHost(target.registry);
  const endpoint = await hostEndpoint(address, table, target, path);
  const isRegistry = new URL(endpoint.root).host === parseAddress(apiHost(target.registry)).host;
  const source = isRegistry ? 'registry' : `server in ${path}`;
  const whole = { ...endpoint, source, registry: isRegistry ? target.registry : endpoint.registry };
  return server === undefined ? withOtherScheme(whole, false) : [whole];
}

async function hostEndpoint(address: string, table: Table, target: Target, path: string): Promise<Endpoint> {
  const { origin, host, prefix } = parseAddress(address, isLoopbackHost);
  const apiPath = prefix === '' ? '' : `/${prefix}`;
  const isRegistry = host === apiHost(target.registry) || (host === HUB && target.registry === HUB);
  const isBare = table.override_path || prefix === 'v2' || prefix.endsWith('/v2');
  return {
    root: `${host === HUB ? `https://${apiHost(HUB)}` : origin}${apiPath}${isBare ? '' : '/v2'}`,
    repository: target.repository,
    registry: isRegistry ? target.registry : host,
    source: path,
    primary: true,
    capabilities: (table.capabilities ?? ['pull', 'resolve', 'push']) as Capability[],
    connection: await connectionOf(table, path),
    headers: headersOf(table, path),
    ...(!isRegistry && { namespace: target.registry }),
  };
}

async function connectionOf(table: Table, path: string): Promise<Connection> {
  const ca = await readParts([table.ca ?? []].flat(), path);
  const client = await clientOf(table.client, path);
  return {
    ...(ca !== '' && { ca }),
    ...client,
    ...(table.skip_verify && { skipVerify: true }),
    ...(table.proxy !== undefined && { proxy: table.proxy }),
  };
}

/** One file with both, or a pair; of several clients the first is used. */
async function clientOf(client: Table['client'], path: string): Promise<Pick<Connection, 'cert' | 'key'>> {
  const first = typeof client === 'string' ? client : client?.[0];
  if (first === undefined) return {};
  const [certFile = '', keyFile = ''] = typeof first === 'string' ? [first] : first;
  const cert = await readParts([certFile], path);
  return { cert, key: keyFile === '' ? cert : await readParts([keyFile], path) };
}

/** Paths are relative to the file that names them. */
async function readParts(files: readonly string[], path: string): Promise<string> {
  const parts: string[] = [];
  for (const file of files) {
    const text = await readIfThere(isAbsolute(file) ? file : join(dirname(path), file));
    if (text === undefined) throw new TslayerError('NOT_FOUND', `${path} names ${file}, which cannot be read`);
    parts.push(text);
  }
  return parts.join('\n');
}

function headersOf({ header }: Table, path: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(header)) {
    const text = [value].flat().join(', ');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a line break would begin another header
    if (!HEADER_NAME.test(name) || /[\u0000-\u0008\u000a-\u001f\u007f]/.test(text)) {
      throw new TslayerError('MALFORMED', `${path}: the header ${JSON.stringify(name.slice(0, 80))} is malformed`);
    }
    headers[name.toLowerCase()] = text;
  }
  return headers;
}
