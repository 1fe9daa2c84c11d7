/**
 * containers' registries.conf, version 2: containers-registries.conf(5). The longest prefix that fits a name decides;
 * what it says replaces that prefix, for the registry itself and for each mirror. Only reading is redirected.
 */
import * as v from 'valibot';
import { TslayerError } from '../../src/errors.ts';
import type { Endpoint } from '../endpoint.ts';
import { apiHost, parseAddress } from './address.ts';
import { type ConfigPlaces, listIfThere, parseToml, readIfThere } from './files.ts';
import type { HostSource, Target } from './hosts.ts';
import { withOtherScheme } from './scheme.ts';

const PULL_MODES = ['all', 'digest-only', 'tag-only', ''] as const;

const MirrorTable = v.object({
  location: v.string(),
  insecure: v.optional(v.boolean(), false),
  'pull-from-mirror': v.optional(v.picklist(PULL_MODES), 'all'),
});
const RegistryTable = v.object({
  prefix: v.optional(v.string(), ''),
  location: v.optional(v.string(), ''),
  insecure: v.optional(v.boolean(), false),
  blocked: v.optional(v.boolean(), false),
  'mirror-by-digest-only': v.optional(v.boolean(), false),
  mirror: v.optional(v.array(MirrorTable), []),
});
const FileSchema = v.object({
  registry: v.optional(v.array(RegistryTable), []),
  aliases: v.optional(v.record(v.string(), v.string()), {}),
  registries: v.optional(v.unknown()),
});

type Mirror = v.InferOutput<typeof MirrorTable>;
type Registry = v.InferOutput<typeof RegistryTable> & { readonly file: string };

/** Comments aside, is there anything? Debian's file is all comments. */
const HAS_CONTENT = /^\s*[^\s#]/m;

export class RegistriesConf implements HostSource {
  readonly #places: ConfigPlaces;
  #texts: ReadonlyMap<string, string> | undefined;
  #registries: Promise<readonly Registry[]> | undefined;

  constructor(places: ConfigPlaces) {
    this.#places = places;
  }

  async endpoints(target: Target): Promise<readonly Endpoint[] | undefined> {
    this.#registries ??= this.#load();
    const name = `${target.registry}/${target.repository}`;
    const table = longestMatch(await this.#registries, name);
    if (!table) return undefined;
    const mirrors = table.mirror.flatMap((mirror) => mirrorEndpoints(table, mirror, name, target));
    return [...mirrors, ...primaryEndpoints(table, name)];
  }

  /** What a short name (`alpine`) stands for; undefined when no alias says so. */
  async alias(shortName: string): Promise<string | undefined> {
    let found: string | undefined;
    for (const [file, text] of this.#files()) {
      // Parsing costs more than looking: the name has to stand there.
      if (!text.includes(shortName)) continue;
      const { aliases } = await parseToml(text, FileSchema, file);
      if (Object.hasOwn(aliases, shortName)) found = aliases[shortName] || undefined;
    }
    return found;
  }

  async #load(): Promise<readonly Registry[]> {
    const byPrefix = new Map<string, Registry>();
    for (const [file, text] of this.#files()) {
      if (!/^\s*\[+\s*registr/m.test(text)) continue;
      const parsed = await parseToml(text, FileSchema, file);
      if (parsed.registries !== undefined) {
        throw new TslayerError('MALFORMED', `${file} is in the format of version 1`, {
          hint: 'write [[registry]] tables, see containers-registries.conf(5)',
        });
      }
      // A later file replaces an earlier one's table of the same prefix.
      for (const table of parsed.registry) byPrefix.set(checkTable(table, file), { ...table, file });
    }
    return [...byPrefix.values()];
  }

  /** The files with something in them, in the order in which they count. */
  #files(): ReadonlyMap<string, string> {
    this.#texts ??= readAll(this.#places);
    return this.#texts;
  }
}

function readAll(places: ConfigPlaces): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const path of places.registriesConf) {
    const text = readIfThere(path);
    if (text === undefined) continue;
    texts.set(path, text);
    break;
  }
  for (const dir of places.registriesConfDirs) {
    for (const name of listIfThere(dir)) {
      const text = name.endsWith('.conf') ? readIfThere(`${dir}/${name}`) : undefined;
      if (text !== undefined) texts.set(`${dir}/${name}`, text);
    }
  }
  return new Map([...texts].filter(([, text]) => HAS_CONTENT.test(text)));
}

/** The table's prefix; without one, its location is what it is about. */
function prefixOf(table: Pick<Registry, 'prefix' | 'location'>): string {
  return table.prefix || table.location;
}

function checkTable(table: v.InferOutput<typeof RegistryTable>, file: string): string {
  const prefix = prefixOf(table);
  const fail = (why: string): never => {
    throw new TslayerError('MALFORMED', `${file}: [[registry]] ${JSON.stringify(prefix)}: ${why}`);
  };
  if (prefix === '') fail('it needs a prefix or a location');
  if (prefix.includes('*') && !/^\*\.[^*/:]+$/.test(prefix)) fail('a wildcard may only stand as in *.example.com');
  if (table.location === '' && !prefix.startsWith('*.')) table.location = prefix;
  if (
    table['mirror-by-digest-only'] &&
    table.mirror.some((mirror) => !['all', ''].includes(mirror['pull-from-mirror']))
  ) {
    fail('mirror-by-digest-only and pull-from-mirror exclude each other');
  }
  return prefix;
}

function longestMatch(registries: readonly Registry[], name: string): Registry | undefined {
  const fitting = registries.filter((table) => matchLength(prefixOf(table), name) > 0);
  return fitting.sort((a, b) => matchLength(prefixOf(b), name) - matchLength(prefixOf(a), name))[0];
}

/** How much of the name a prefix covers, 0 for none: `a.b/c` covers `a.b/c/d`, not `a.b/cd`. */
function matchLength(prefix: string, name: string): number {
  const host = name.split('/', 1)[0] ?? '';
  if (prefix.startsWith('*.')) return host.replace(/:\d+$/, '').endsWith(prefix.slice(1)) ? prefix.length - 1 : 0;
  const plain = prefix.replace(/\/$/, '');
  return name === plain || name.startsWith(`${plain}/`) ? plain.length : 0;
}

function rewrite(name: string, table: Registry, location: string): string {
  if (location === '') return name;
  const prefix = prefixOf(table);
  const covered = prefix.startsWith('*.') ? (name.split('/', 1)[0] ?? '').length : prefix.replace(/\/$/, '').length;
  return `${location.replace(/\/$/, '')}${name.slice(covered)}`;
}

function mirrorEndpoints(table: Registry, mirror: Mirror, name: string, target: Target): Endpoint[] {
  const mode = table['mirror-by-digest-only'] ? 'digest-only' : mirror['pull-from-mirror'];
  const skipped = table.blocked ? blockedBy(table) : whyNotNow(mode, target);
  const places = endpointsAt(rewrite(name, table, mirror.location), mirror.insecure, `mirror in ${table.file}`);
  return places.map((endpoint) => ({
    ...endpoint,
    primary: false,
    capabilities: ['pull', 'resolve'],
    ...(skipped !== undefined && { skipped }),
  }));
}

/** Blobs are asked for with neither tag nor digest: they are fetched wherever they are. */
function whyNotNow(mode: (typeof PULL_MODES)[number], { tag, digest }: Target): string | undefined {
  if (mode === 'digest-only' && tag !== undefined && digest === undefined) return 'the mirror is for digests only';
  if (mode === 'tag-only' && digest !== undefined) return 'the mirror is for tags only';
  return undefined;
}

function primaryEndpoints(table: Registry, name: string): Endpoint[] {
  const location = rewrite(name, table, table.location);
  const moved = location !== name;
  const read = endpointsAt(location, table.insecure, moved ? `location in ${table.file}` : 'registry');
  const skipped = table.blocked ? blockedBy(table) : undefined;
  const blocked = skipped === undefined ? {} : { skipped };
  if (!moved) return read.map((endpoint) => ({ ...endpoint, ...blocked }));
  // Redirections are for reading; what is pushed goes where its name says.
  const write = endpointsAt(name, table.insecure, 'registry').map((endpoint) => ({
    ...endpoint,
    capabilities: ['push'] as const,
  }));
  return [...read.map((endpoint) => ({ ...endpoint, capabilities: ['pull', 'resolve'] as const })), ...write].map(
    (endpoint) => ({ ...endpoint, ...blocked }),
  );
}

function blockedBy(table: Registry): string {
  return `${prefixOf(table)} is blocked by ${table.file}`;
}

/** The endpoints of a whole name: one, or both schemes where insecure connections are allowed. */
function endpointsAt(name: string, insecure: boolean, source: string): Endpoint[] {
  const slash = name.indexOf('/');
  const registry = slash < 0 ? name : name.slice(0, slash);
  const { origin } = parseAddress(apiHost(registry));
  const endpoint: Endpoint = {
    root: `${origin}/v2`,
    repository: slash < 0 ? '' : name.slice(slash + 1),
    registry,
    source,
    primary: true,
    capabilities: ['pull', 'resolve', 'push'],
    connection: insecure ? { skipVerify: true } : {},
  };
  return withOtherScheme(endpoint, insecure);
}
