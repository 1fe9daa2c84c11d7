/**
 * Mounting by mount(2) alone, for kernels without fsopen(2) or without overlayfs' `lowerdir+` (before 6.8).
 *
 * The options are one string of at most 4095 bytes, and lists inside it have separators of their own. Where a path
 * does not fit or holds a separator, it gets a short name: a symbolic link in a directory that is the current one
 * for the length of the call. 500 lower layers fit in 4 KB that way. The mount table then shows these names, so lower
 * directories are called by what is their own below the directory that they have in common, and that directory is the
 * mount's source: findUser() puts the two together.
 */
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { MS_BIND, MS_REC, MS_REMOUNT, mount as mountCall } from '../sys/mount-api.ts';
import { chdir, fchdir } from '../sys/namespaces.ts';
import type { Mount } from './mount.ts';
import { joinParameters, type Parameter, parseOptions } from './options.ts';
import { shortNameOf } from './short-names.ts';

const MAX_DATA = 4095;

/** Performs one mount at `target`. `scratch` is a directory that short names can be made in. */
export function mountClassic(mount: Mount, target: string, scratch: string): void {
  const { flags, recursive, remount, parameters } = parseOptions(mount);
  const call = (list: readonly Parameter[], source = mount.source): void =>
    mountCall(source, target, mount.type, flags | (remount ? MS_REMOUNT : 0), joinParameters(list));
  if (mount.type === 'bind') bind(mount.source, target, flags, recursive);
  else if (mount.type !== 'overlay') call(parameters);
  else if (standsAsItIs(parameters)) call(listLowers(parameters));
  else withShortNames(shorten(parameters), scratch, (short, source) => call(listLowers(short), source));
}

function standsAsItIs(parameters: readonly Parameter[]): boolean {
  return !parameters.some((parameter) => isPath(parameter) && hasSeparator(parameter)) && fits(parameters);
}

const hasSeparator = ({ value = '' }: Parameter): boolean => /[,:\\]/.test(value);

function fits(parameters: readonly Parameter[]): boolean {
  return Buffer.byteLength(joinParameters(listLowers(parameters))) <= MAX_DATA;
}

function bind(source: string, target: string, flags: number, recursive: boolean): void {
  mountCall(source, target, 'none', MS_BIND | (recursive ? MS_REC : 0));
  // The first call ignores all flags but these two.
  if (flags !== 0) mountCall('none', target, 'none', MS_BIND | MS_REMOUNT | flags);
}

const isPath = ({ key }: Parameter): boolean => ['lowerdir+', 'upperdir', 'workdir'].includes(key);

/** `lowerdir+` once a layer becomes the one `lowerdir` that old kernels know. */
function listLowers(parameters: readonly Parameter[]): Parameter[] {
  const lowers = parameters.filter(({ key }) => key === 'lowerdir+').map(({ value }) => value);
  const rest = parameters.filter(({ key }) => key !== 'lowerdir+');
  return [{ key: 'lowerdir', value: lowers.join(':') }, ...rest];
}

interface Shortened {
  readonly parameters: readonly Parameter[];
  /** What each short name stands for. */
  readonly links: ReadonlyMap<string, string>;
  readonly source?: string;
}

/** Names that tell the most of those that fit. */
function shorten(parameters: readonly Parameter[]): Shortened {
  const telling = byOwnNames(parameters);
  return telling !== undefined && fits(telling.parameters) ? telling : byNumbers(parameters);
}

/** Upper and work directory stay as they are, where they can: two mounts may not have the same. */
function byOwnNames(parameters: readonly Parameter[]): Shortened | undefined {
  if (parameters.some((parameter) => isPath(parameter) && hasSeparator(parameter))) return undefined;
  const lowers = parameters.filter(({ key }) => key === 'lowerdir+').map(({ value = '' }) => value);
  const source = commonDirectory(lowers);
  const nameOf = (path: string): string => shortNameOf(source, path);
  const links = new Map(lowers.map((path) => [nameOf(path), path]));
  if (links.size < lowers.length) return undefined;
  const short = parameters.map((parameter) =>
    parameter.key === 'lowerdir+' ? { key: parameter.key, value: nameOf(parameter.value ?? '') } : parameter,
  );
  return { parameters: short, links, source };
}

function byNumbers(parameters: readonly Parameter[]): Shortened {
  const links = new Map<string, string>();
  const short = parameters.map((parameter, index) => {
    if (!isPath(parameter) || parameter.value === undefined) return parameter;
    const name = index.toString(36);
    links.set(name, parameter.value);
    return { key: parameter.key, value: name };
  });
  return { parameters: short, links };
}

/** Above all of them; without a final slash. */
function commonDirectory([first = '', ...others]: readonly string[]): string {
  const parts = first.split('/').slice(0, -1);
  while (!others.every((path) => path.startsWith(`${parts.join('/')}/`))) parts.pop();
  return parts.join('/');
}

function withShortNames(
  { parameters, links, source }: Shortened,
  scratch: string,
  use: (short: readonly Parameter[], source: string | undefined) => void,
): void {
  const directory = mkdtempSync(join(scratch, 'names-'));
  const before = openSync('.', 'r');
  try {
    for (const [name, path] of links) symlinkSync(path, join(directory, name));
    chdir(directory);
    use(parameters, source);
  } finally {
    fchdir(before);
    closeSync(before);
    rmSync(directory, { recursive: true, force: true });
  }
}
