/**
 * Where the configuration of other tools lies, and reading what may not be there. Synchronously: a pull looks at a dozen
 * places that are mostly empty, each a system call of microseconds or a round trip through a thread pool.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type * as v from 'valibot';
import { asTslayerError, TslayerError } from '../../src/errors.ts';
import { parseValue } from '../../src/oci/descriptor.ts';

export interface ConfigPlaces {
  /** registries.conf: the user's in place of the system's. */
  readonly registriesConf: readonly string[];
  /** registries.conf.d: all of them, the user's last. */
  readonly registriesConfDirs: readonly string[];
  /** Directories with a directory for each host, holding certificates and hosts.toml; first match wins. */
  readonly certsDirs: readonly string[];
}

type Env = Readonly<Record<string, string | undefined>>;

/** @param etc where the system's configuration lies; `/etc` but for tests */
export function configPlaces(env: Env, etc = '/etc'): ConfigPlaces {
  const user = join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'containers');
  const conf = env.CONTAINERS_REGISTRIES_CONF;
  return {
    registriesConf: conf ? [conf] : [join(user, 'registries.conf'), join(etc, 'containers/registries.conf')],
    registriesConfDirs: [join(etc, 'containers/registries.conf.d'), join(user, 'registries.conf.d')],
    certsDirs: [
      join(user, 'certs.d'),
      join(etc, 'containerd/certs.d'),
      join(etc, 'containers/certs.d'),
      join(etc, 'docker/certs.d'),
    ],
  };
}

/** A file's text; undefined when there is none, or no way to it. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw asTslayerError(error, 'cannot read the configuration');
  }
}

/** Names in a directory, sorted; none when it is not there. */
export function listIfThere(path: string): string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (isAbsent(error)) return [];
    throw asTslayerError(error, 'cannot read the configuration');
  }
}

function isAbsent(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES';
}

/** Parses TOML by a schema. The parser is loaded here: most runs have nothing for it. */
export async function parseToml<T>(text: string, schema: v.GenericSchema<unknown, T>, path: string): Promise<T> {
  const { parse } = await import('smol-toml');
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n', 1)[0] ?? '') : '';
    throw new TslayerError('MALFORMED', `${path}: ${why}`, { cause });
  }
  return parseValue(document, schema, path);
}
