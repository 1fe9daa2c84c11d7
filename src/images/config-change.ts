/**
 * Changes to an image's config, written as a Dockerfile's instructions: `CMD ["sh"]`, or `CMD=sh` as podman allows.
 * What docker and podman take for `--change` is taken here, with the same results.
 */
import { posix } from 'node:path';
import { TslayerError } from '../errors.ts';
import { type Environment, splitWords } from './shell-words.ts';

/** The `config` member of an image config, with all that others may have put there (Healthcheck, Shell …). */
export type MutableRuntime = Record<string, unknown>;

/** The members that an instruction replaces. */
type Instruction = (runtime: MutableRuntime, value: string) => MutableRuntime;

const INSTRUCTIONS: Readonly<Record<string, Instruction>> = {
  CMD: (runtime, value) => ({ Cmd: command(runtime, value) }),
  ENTRYPOINT: (runtime, value) => ({ Entrypoint: command(runtime, value) }),
  ENV: (runtime, value) => ({ Env: environmentWith(runtime, value) }),
  EXPOSE: (runtime, value) => ({ ExposedPorts: withKeys(runtime.ExposedPorts, words(runtime, value).flatMap(ports)) }),
  LABEL: (runtime, value) => ({
    Labels: { ...mapOf(runtime.Labels), ...Object.fromEntries(pairs(runtime, value, 'LABEL')) },
  }),
  ONBUILD: (runtime, value) => ({ OnBuild: [...listOf(runtime.OnBuild), value] }),
  STOPSIGNAL: (runtime, value) => ({ StopSignal: one(runtime, value, 'STOPSIGNAL') }),
  USER: (runtime, value) => ({ User: one(runtime, value, 'USER') }),
  VOLUME: (runtime, value) => ({ Volumes: withKeys(runtime.Volumes, jsonList(value) ?? words(runtime, value)) }),
  WORKDIR: (runtime, value) => ({ WorkingDir: directoryFrom(runtime, one(runtime, value, 'WORKDIR')) }),
};

/**
 * Applies the changes in their order to a config's `config` member. A new entrypoint drops the command that was
 * meant for the old one, unless a change sets it, as docker does. Throws INVALID_ARGUMENT.
 */
export function applyConfigChanges(runtime: MutableRuntime, changes: readonly string[]): MutableRuntime {
  let result = { ...runtime };
  const parsed = changes.map(parseChange);
  const sets = (name: string) => parsed.some((change) => change.name === name);
  if (sets('ENTRYPOINT') && !sets('CMD')) delete result.Cmd;
  for (const { apply, value } of parsed) result = { ...result, ...apply(result, value) };
  return result;
}

function parseChange(text: string): { readonly name: string; readonly apply: Instruction; readonly value: string } {
  const found = /^\s*([A-Za-z]+)(?:\s*=|\s+)\s*(.*?)\s*$/s.exec(text);
  const name = found?.[1]?.toUpperCase() ?? '';
  const apply = Object.hasOwn(INSTRUCTIONS, name) ? INSTRUCTIONS[name] : undefined;
  const value = found?.[2] ?? '';
  if (!apply || /[\n\0]/.test(value)) {
    throw new TslayerError('INVALID_ARGUMENT', `not a config change: ${JSON.stringify(text.slice(0, 200))}`, {
      hint: `write one of ${Object.keys(INSTRUCTIONS).join(', ')} with its value, as in --change 'CMD ["sh"]'`,
    });
  }
  // Only a command may be taken back: `CMD []`.
  if (value === '') throw new TslayerError('INVALID_ARGUMENT', `the change ${name} has no value`);
  return { name, apply, value };
}

/** The exec form as it is, the shell form as an argument of the shell. */
function command(runtime: MutableRuntime, value: string): readonly string[] {
  const list = jsonList(value);
  if (list) return list;
  const shell = listOf(runtime.Shell);
  return [...(shell.length > 0 ? shell : ['/bin/sh', '-c']), value];
}

/** A JSON array of strings, or undefined when the text is something else. */
function jsonList(value: string): string[] | undefined {
  if (!value.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(value);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}

/** A relative directory is one below the directory so far. */
function directoryFrom(runtime: MutableRuntime, path: string): string {
  const before = typeof runtime.WorkingDir === 'string' && runtime.WorkingDir !== '' ? runtime.WorkingDir : '/';
  return posix.resolve('/', before, path);
}

function environmentWith(runtime: MutableRuntime, value: string): string[] {
  const environment = new Map(environmentOf(runtime));
  for (const [name, text] of pairs(runtime, value, 'ENV')) environment.set(name, text);
  return [...environment].map(([name, text]) => `${name}=${text}`);
}

/** `k=v k2="v 2"`, or the old form `k the whole rest`. */
function pairs(runtime: MutableRuntime, value: string, name: string): [string, string][] {
  const [first = '', ...rest] = words(runtime, value);
  if (!first.includes('=') && rest.length > 0) return [[first, words(runtime, value).slice(1).join(' ')]];
  return [first, ...rest].map((word) => {
    const equals = word.indexOf('=');
    if (equals <= 0)
      throw new TslayerError('INVALID_ARGUMENT', `${name} needs NAME=VALUE, not ${JSON.stringify(word)}`);
    return [word.slice(0, equals), word.slice(equals + 1)];
  });
}

/** `80`, `80/udp`, `8000-8002/tcp`. */
function ports(text: string): string[] {
  const found = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const first = Number(found?.[1]);
  const last = Number(found?.[2] ?? first);
  if (!found || first < 1 || last > 65_535 || last < first) {
    throw new TslayerError('INVALID_ARGUMENT', `not a port: ${JSON.stringify(text)}`, { hint: 'write 80 or 53/udp' });
  }
  const protocol = (found[3] ?? 'tcp').toLowerCase();
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}/${protocol}`);
}

function withKeys(map: unknown, keys: readonly string[]): Record<string, unknown> {
  return { ...mapOf(map), ...Object.fromEntries(keys.map((key) => [key, {}])) };
}

function one(runtime: MutableRuntime, value: string, name: string): string {
  const [word, ...more] = words(runtime, value);
  if (word === undefined || more.length > 0) throw new TslayerError('INVALID_ARGUMENT', `${name} takes one value`);
  return word;
}

function words(runtime: MutableRuntime, value: string): string[] {
  return splitWords(value, environmentOf(runtime));
}

function environmentOf(runtime: MutableRuntime): Environment {
  return new Map(
    listOf(runtime.Env).map((line) => {
      const equals = line.indexOf('=');
      return equals < 0 ? [line, ''] : [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
