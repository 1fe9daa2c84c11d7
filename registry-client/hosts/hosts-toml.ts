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

interface HostsFile {
  readonly path: string;
  readonly text: string;
}

export class HostsToml implements HostSource {
  readonly #places: ConfigPlaces;
  /** By registry: each blob of an image asks anew. */
  readonly #files = new Map<string, HostsFile | undefined>();

  constructor(places: ConfigPlaces) {
    this.#places = places;
  }

  async endpoints(target: Target): Promise<readonly Endpoint[] | undefined> {
    const found = this.#file(target.registry);
    if (!found) return undefined;
    const { path, text } = found;
    const { server, host, ...own } = await parseToml(text, FileSchema, path);
    const endpoints: Endpoint[] = [];
    for (const [address, table] of Object.entries(host)) {
      const endpoint = hostEndpoint(address, table, target, path);
      endpoints.push({ ...endpoint, primary: false, source: `host in ${path}` });
    }
    return [...endpoints, ...serverEndpoints(server, own, target, path)];
  }

  #file(registry: string): HostsFile | undefined {
    if (!this.#files.has(registry)) this.#files.set(registry, this.#find(registry));
    return this.#files.get(registry);
  }

  #find(registry: string): HostsFile | undefined {
    for (const name of [...hostDirectories(registry), '_default']) {
      for (const dir of this.#places.certsDirs) {
        const path = join(dir, name, 'hosts.toml');
        const text = readIfThere(path);
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

function serverEndpoints(server: string | undefined, table: Table, target: Target, path: string): Endpoint[] {
  const address = server ?? apiHost(target.registry);
  const endpoint = hostEndpoint(address, table, target, path);
  const isRegistry = new URL(endpoint.root).host === parseAddress(apiHost(target.registry)).host;
  const source = isRegistry ? 'registry' : `server in ${path}`;
  const whole = { ...endpoint, source, registry: isRegistry ? target.registry : endpoint.registry };
  return server === undefined ? withOtherScheme(whole, false) : [whole];
}

function hostEndpoint(address: string, table: Table, target: Target, path: string): Endpoint {
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
    connection: connectionOf(table, path),
    headers: headersOf(table, path),
    ...(!isRegistry && { namespace: target.registry }),
  };
}

function connectionOf(table: Table, path: string): Connection {
  const ca = readParts([table.ca ?? []].flat(), path);
  const client = clientOf(table.client, path);
  return {
    ...(ca !== '' && { ca }),
    ...client,
    ...(table.skip_verify && { skipVerify: true }),
    ...(table.proxy !== undefined && { proxy: table.proxy }),
  };
}

/** One file with both, or a pair; of several clients the first is used. */
function clientOf(client: Table['client'], path: string): Pick<Connection, 'cert' | 'key'> {
  const first = typeof client === 'string' ? client : client?.[0];
  if (first === undefined) return {};
  const [certFile = '', keyFile = ''] = typeof first === 'string' ? [first] : first;
  const cert = readParts([certFile], path);
  return { cert, key: keyFile === '' ? cert : readParts([keyFile], path) };
}

/** Paths are relative to the file that names them. */
function readParts(files: readonly string[], path: string): string {
  const parts: string[] = [];
  for (const file of files) {
    const text = readIfThere(isAbsolute(file) ? file : join(dirname(path), file));
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
