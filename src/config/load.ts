/** Reads the configuration: flags before environment before the user's file before the system's. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { asTslayerError, TslayerError } from '../errors.ts';
import { configFiles, defaultRoot, type Surroundings, surroundings } from './paths.ts';
import type { ConfigFile } from './settings.ts';

export interface ConfigOverrides {
  readonly root?: string | undefined;
  readonly driver?: string | undefined;
  /** Read this file alone, instead of the system's and the user's. It must be there. */
  readonly config?: string | undefined;
}

export interface Config extends ConfigFile {
  /** Absolute. */
  readonly root: string;
  /** The files that were found and read. */
  readonly files: readonly string[];
}

export async function loadConfig(
  overrides: ConfigOverrides = {},
  where: Surroundings = surroundings(),
): Promise<Config> {
  const { env } = where;
  const named = overrides.config ?? (env.TSLAYER_CONFIG || undefined);
  const files: string[] = [];
  let merged: ConfigFile = {};
  for (const file of named === undefined ? configFiles(where) : [named]) {
    const text = readIfThere(file, named !== undefined);
    if (text === undefined) continue;
    files.push(file);
    merged = merge(merged, await parseConfigFile(text, file));
  }
  const root = checkedRoot(overrides.root ?? (env.TSLAYER_ROOT || merged.root) ?? defaultRoot(where));
  const driver = overrides.driver ?? (env.TSLAYER_DRIVER || merged.driver);
  return { ...merged, root, files, ...(driver !== undefined && { driver }) };
}

function checkedRoot(root: string): string {
  const path = resolve(root);
  // An empty one is a variable that was not set, not the working directory. In /proc nothing can be made, and
  // Node's recursive mkdir tries for ever.
  if (root !== '' && !/^\/proc(?:\/|$)/.test(path)) return path;
  throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(root)} is no place for a store`, {
    hint: 'name a directory with --root or TSLAYER_ROOT',
  });
}

function readIfThere(file: string, needed: boolean): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // A directory on the way that may not be entered holds no configuration for this user.
    const { code } = error as NodeJS.ErrnoException;
    if (!needed && (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES')) return undefined;
    throw asTslayerError(error, 'cannot read the configuration');
  }
}

/** The parser and the schema are loaded here: most runs have no configuration file. */
async function parseConfigFile(text: string, file: string): Promise<ConfigFile> {
  const [{ parse }, { checkConfig }] = await Promise.all([import('smol-toml'), import('./schema.ts')]);
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    throw new TslayerError('INVALID_ARGUMENT', `${file}: ${why}`, { cause });
  }
  return checkConfig(document, file);
}

/** Tables are merged key by key, everything else is replaced. */
function merge(below: object, above: object): object {
  const out: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = out[key];
    out[key] = isTable(value) && isTable(under) ? merge(under, value) : value;
  }
  return out;
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
