/**
 * Short names (`alpine`) by the aliases of registries.conf. Several registries are never searched for one: whoever
 * registers the name at the first of them would be pulled from.
 */
import { configPlaces } from './files.ts';
import { RegistriesConf } from './registries-conf.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface ShortNameOptions {
  readonly env?: Env;
  readonly etc?: string;
}

/**
 * The text of a reference with an alias put in place of its name: `fedora:40` → `registry.fedoraproject.org/fedora:40`.
 * Names without an alias, and names with a registry, stay as they are.
 */
export async function expandShortName(reference: string, options: ShortNameOptions = {}): Promise<string> {
  const [, name = '', rest = ''] = /^([^:@]*)(.*)$/s.exec(reference) ?? [];
  const first = name.split('/', 1)[0] ?? '';
  const isQualified = name.includes('/') && (/[.:]/.test(first) || first === 'localhost');
  // `host:5000/name`: what looks like a tag is a port.
  if (name === '' || isQualified || rest.includes('/')) return reference;
  const conf = new RegistriesConf(configPlaces(options.env ?? process.env, options.etc));
  const alias = await conf.alias(name);
  return alias === undefined ? reference : `${alias}${rest}`;
}
