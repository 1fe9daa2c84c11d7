/**
 * Credential files: containers' auth.json and docker's config.json, which share a format. docker-config-json and
 * containers-auth.json(5): `auths` holds base64 of user:password, `credHelpers` and `credsStore` name programs.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { asTslayerError, TslayerError } from '../../src/errors.ts';
import { parseJson } from '../../src/oci/descriptor.ts';
import { type Credential, type CredentialSource, credentialKeys, helperKey } from './credentials.ts';

type Env = Readonly<Record<string, string | undefined>>;

interface AuthEntry {
  readonly auth?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly identitytoken?: string | undefined;
  readonly registrytoken?: string | undefined;
}

/** The file's known members; others are kept when it is written again. */
export interface AuthFile {
  readonly auths?: Readonly<Record<string, AuthEntry | null>> | null | undefined;
  readonly credHelpers?: Readonly<Record<string, string>> | null | undefined;
  readonly credsStore?: string | null | undefined;
}

const Entry = v.looseObject({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
  registrytoken: v.optional(v.string()),
});
const FileSchema: v.GenericSchema<unknown, AuthFile> = v.looseObject({
  auths: v.nullish(v.record(v.string(), v.nullable(Entry))),
  credHelpers: v.nullish(v.record(v.string(), v.string())),
  credsStore: v.nullish(v.string()),
});

/** Where credentials are looked for, first match wins; `$REGISTRY_AUTH_FILE` excludes the others. */
function authFilePaths(env: Env): string[] {
  if (env.REGISTRY_AUTH_FILE) return [env.REGISTRY_AUTH_FILE];
  const home = env.HOME || homedir();
  const runtime = env.XDG_RUNTIME_DIR || `/run/containers/${process.getuid?.() ?? 0}`;
  const runtimeFile = join(runtime, env.XDG_RUNTIME_DIR ? 'containers' : '', 'auth.json');
  return [
    runtimeFile,
    join(env.XDG_CONFIG_HOME || join(home, '.config'), 'containers', 'auth.json'),
    join(env.DOCKER_CONFIG || join(home, '.docker'), 'config.json'),
  ];
}

/** The file's content, undefined when there is none. One that cannot be read is an error, not an empty file. */
export async function readAuthFile(path: string): Promise<AuthFile | undefined> {
  let text: Buffer;
  try {
    text = await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw asTslayerError(error, 'cannot read the credentials');
  }
  // podman truncates the file on its first logout.
  return text.length === 0 ? {} : parseJson(text, FileSchema, path);
}

/** Credentials as podman and docker find them. */
export function fileCredentials(env: Env): CredentialSource {
  return {
    async find(registry, repository) {
      for (const path of authFilePaths(env)) {
        const file = await readAuthFile(path);
        const found = file && (await findInFile(file, path, registry, repository, env));
        if (found) return found;
      }
      return undefined;
    },
  };
}

async function findInFile(
  file: AuthFile,
  path: string,
  registry: string,
  repository: string,
  env: Env,
): Promise<Credential | undefined> {
  const keys = credentialKeys(registry, repository);
  const own = keys.find((key) => file.credHelpers?.[key]);
  const helper = own === undefined ? undefined : file.credHelpers?.[own];
  if (helper && own !== undefined) return await askHelper(helper, own, env);
  const stored = file.credsStore ? await askHelper(file.credsStore, helperKey(registry), env) : undefined;
  if (stored) return stored;
  const entries = Object.entries(file.auths ?? {});
  for (const key of keys) {
    const entry = entries.find(([name]) => name === key) ?? entries.find(([name]) => hostOfKey(name) === key);
    const found = entry?.[1] && credentialOf(entry[1], path);
    if (found) return found;
  }
  return undefined;
}

/** Starting programs is loaded where there is one to start. */
async function askHelper(name: string, key: string, env: Env): Promise<Credential | undefined> {
  const { runHelper } = await import('./helper.ts');
  return await runHelper(name, key, env);
}

/** docker writes addresses: `https://ghcr.io/v2/` means `ghcr.io`. */
function hostOfKey(key: string): string {
  const bare = key.replace(/^https?:\/\//, '');
  return bare === key ? key.replace(/\/$/, '') : bare.replace(/\/.*$/s, '');
}

function credentialOf(entry: AuthEntry, source: string): Credential | undefined {
  const { identitytoken, registrytoken } = entry;
  const [username, password] = userAndPassword(entry, source);
  if (!username && !password && !identitytoken && !registrytoken) return undefined;
  return {
    username,
    password,
    source,
    ...(identitytoken ? { identityToken: identitytoken } : {}),
    ...(registrytoken ? { registryToken: registrytoken } : {}),
  };
}

function userAndPassword(entry: AuthEntry, source: string): [string, string] {
  if (!entry.auth) return [entry.username ?? '', entry.password ?? ''];
  // Older dockers padded with NULs.
  const pair = Buffer.from(entry.auth, 'base64').toString('utf8').replaceAll('\0', '');
  const colon = pair.indexOf(':');
  if (colon < 0) throw new TslayerError('MALFORMED', `${source}: an auth entry is not base64 of user:password`);
  return [pair.slice(0, colon), pair.slice(colon + 1)];
}
