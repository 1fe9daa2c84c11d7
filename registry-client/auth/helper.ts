/**
 * Credential helpers: `docker-credential-NAME get`, the registry on its input, JSON on its output. A helper that
 * fails is fatal. Names and hosts are checked first and no shell is involved: what stands in a configuration file
 * or in an image's name must not become an option, a path or a second line of the protocol (CVE-2020-5260).
 */
import { spawn } from 'node:child_process';
import * as v from 'valibot';
import { TslayerError } from '../../src/errors.ts';
import { parseJson } from '../../src/oci/descriptor.ts';
import { harmless } from '../transport/secrets.ts';
import type { Credential } from './credentials.ts';

type Env = Readonly<Record<string, string | undefined>>;
type HelperAction = 'get' | 'store' | 'erase';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const KEY = /^(?:https?:\/\/)?[A-Za-z0-9[\]][A-Za-z0-9.:_/[\]-]{0,512}$/;
const MAX_OUTPUT = 1024 * 1024;
const TIMEOUT_MS = 60_000;
/** How helpers say that they have none; their status is 1 then, as for real failures. */
const NOT_FOUND = /credentials not found/i;

const Answer = v.object({ Username: v.string(), Secret: v.string() });

/** Asks a helper; undefined when it has nothing for that key. */
export async function runHelper(name: string, key: string, env: Env): Promise<Credential | undefined> {
  checkNames(name, key);
  const { status, output } = await run(name, 'get', key, env);
  if (status !== 0) {
    if (NOT_FOUND.test(output)) return undefined;
    throw failure(name, `it ended with status ${status}: ${harmless(output)}`);
  }
  const answer = parseJson(output, Answer, `the answer of docker-credential-${name}`);
  if (answer.Secret === '') return undefined;
  const source = `docker-credential-${name}`;
  if (answer.Username === '<token>') return { username: '', password: '', identityToken: answer.Secret, source };
  return { username: answer.Username, password: answer.Secret, source };
}

export async function storeInHelper(
  name: string,
  key: string,
  username: string,
  secret: string,
  env: Env,
): Promise<void> {
  checkNames(name, key);
  const input = JSON.stringify({ ServerURL: key, Username: username, Secret: secret });
  const { status } = await run(name, 'store', input, env);
  if (status !== 0) throw failure(name, `it could not store the credential (status ${status})`);
}

/** Answers whether there was one. */
export async function eraseInHelper(name: string, key: string, env: Env): Promise<boolean> {
  checkNames(name, key);
  const { status, output } = await run(name, 'erase', key, env);
  if (status === 0) return true;
  if (NOT_FOUND.test(output)) return false;
  throw failure(name, `it could not erase the credential (status ${status})`);
}

function checkNames(name: string, key: string): void {
  if (!NAME.test(name)) throw failure(name, 'its name is malformed');
  if (!KEY.test(key)) throw failure(name, 'the registry is malformed');
}

function failure(name: string, why: string, cause?: unknown): TslayerError {
  const shown = harmless(name, 64);
  return new TslayerError('DENIED', `the credential helper docker-credential-${shown} failed: ${why}`, {
    cause,
    hint: `try: echo REGISTRY | docker-credential-${shown} get`,
  });
}

interface Ended {
  readonly status: number | null;
  /** Standard output: where helpers explain themselves, too. */
  readonly output: string;
}

function run(name: string, action: HelperAction, input: string, env: Env): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(`docker-credential-${name}`, [action], {
      env: env as NodeJS.ProcessEnv,
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    // spawn's own `timeout` keeps the process alive when the program could not be started.
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
    const chunks: Buffer[] = [];
    let total = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      total += chunk.length;
      if (total > MAX_OUTPUT) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const why = cause.code === 'ENOENT' ? 'it is not in PATH' : (cause.code ?? 'it could not be started');
      reject(failure(name, why, cause));
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({ status, output: Buffer.concat(chunks).toString('utf8') });
    });
    // A helper that does not read its input is no reason to die of EPIPE; its status tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}
