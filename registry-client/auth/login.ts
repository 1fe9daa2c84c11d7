/**
 * Logging in and out: a credential is tried at the registry before it is stored, where podman and docker keep theirs.
 * The file is replaced by a rename, readable by its owner alone; what else stands in it stays.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import type { OperationOptions } from '../../src/progress.ts';
import type { RegistryClientOptions } from '../options.ts';
import { createRegistryClient } from '../registry-client.ts';
import { type AuthFile, fileCredentials, readAuthFile } from './auth-file.ts';
import { credentialKeys, helperKey, staticCredential } from './credentials.ts';
import { writeAuthFile } from './write-auth-file.ts';

type Env = Readonly<Record<string, string | undefined>>;

export interface Login extends OperationOptions {
  readonly username: string;
  readonly password: string;
  /** How to reach the registry; its credentials are not used. */
  readonly client?: Omit<RegistryClientOptions, 'credentials'>;
}

export interface LoggedIn {
  /** The file or helper that holds the credential now. */
  readonly storedIn: string;
  /** The registry took the credential; false when it never asked for one, so that nothing was checked. */
  readonly checked: boolean;
}

export interface LoggedOut {
  /** Whether there was something to remove. */
  readonly removed: boolean;
  /** Where a credential is still found after all, as in docker's own file. */
  readonly remaining?: string;
}

/** Checks a credential and stores it. Throws DENIED when the registry does not take it; nothing is stored then. */
export async function login(registry: string, options: Login): Promise<LoggedIn> {
  const { username, password, client: clientOptions = {}, ...rest } = options;
  if (username === '' || username.includes(':')) {
    throw new TslayerError('INVALID_ARGUMENT', 'a user name may be neither empty nor contain a colon');
  }
  if (password === '') throw new TslayerError('INVALID_ARGUMENT', 'the password is empty');
  let asked = false;
  const given = staticCredential(registry, username, password);
  const credentials: typeof given = {
    async find(host, repository) {
      asked = true;
      return await given.find(host, repository);
    },
  };
  const client = createRegistryClient({ ...clientOptions, credentials });
  try {
    await client.ping(registry, rest);
  } finally {
    await client.close();
  }
  const env = clientOptions.env ?? process.env;
  return { storedIn: await store(registry, username, password, env), checked: asked };
}

/** Forgets a registry's credential. */
export async function logout(registry: string, env: Env = process.env): Promise<LoggedOut> {
  const path = loginFile(env);
  const file = (await readAuthFile(path)) ?? {};
  const helper = helperOf(file, registry);
  let removed = false;
  if (helper !== undefined) {
    const { eraseInHelper } = await import('./helper.ts');
    removed = await eraseInHelper(helper, helperKey(registry), env);
  }
  const auths = Object.entries(file.auths ?? {});
  const kept = auths.filter(([key]) => !keysOf(registry).includes(key));
  if (kept.length < auths.length) {
    await writeAuthFile(path, { ...file, auths: Object.fromEntries(kept) });
    removed = true;
  }
  const remaining = await fileCredentials(env).find(registry, '');
  return { removed, ...(remaining && { remaining: remaining.source }) };
}

/** Where `login` writes: the first file that podman reads. */
function loginFile(env: Env): string {
  if (env.REGISTRY_AUTH_FILE) return env.REGISTRY_AUTH_FILE;
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'containers', 'auth.json');
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return '/run/containers/0/auth.json';
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'containers', 'auth.json');
}

async function store(registry: string, username: string, password: string, env: Env): Promise<string> {
  const path = loginFile(env);
  const file = (await readAuthFile(path)) ?? {};
  const helper = helperOf(file, registry);
  if (helper !== undefined) {
    const { storeInHelper } = await import('./helper.ts');
    await storeInHelper(helper, helperKey(registry), username, password, env);
    return `docker-credential-${helper}`;
  }
  const others = Object.entries(file.auths ?? {}).filter(([key]) => !keysOf(registry).includes(key));
  const auth = Buffer.from(`${username}:${password}`).toString('base64');
  await writeAuthFile(path, { ...file, auths: { ...Object.fromEntries(others), [registry]: { auth } } });
  return path;
}

function helperOf(file: AuthFile, registry: string): string | undefined {
  const key = credentialKeys(registry, '').find((name) => file.credHelpers?.[name]);
  return (key && file.credHelpers?.[key]) || file.credsStore || undefined;
}

/** Every key that means the registry as a whole. */
function keysOf(registry: string): readonly string[] {
  const keys = credentialKeys(registry, '');
  return [...keys, ...keys.flatMap((key) => [`https://${key}`, `https://${key}/v2/`, `https://${key}/v1/`])];
}
