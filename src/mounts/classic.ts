/**
 * Mounting by mount(2) alone, for kernels without fsopen(2) or without overlayfs' `lowerdir+` (before 6.8).
 *
 * The options are one string of at most 4095 bytes, and lists inside it have separators of their own. Where a path
 * does not fit or holds a separator, it gets a short name: a symbolic link in a directory that is the current one
 * for the length of the call. 500 lower layers fit in 2 KB that way.
 */
import { closeSync, mkdtempSync, openSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { MS_BIND, MS_REC, MS_REMOUNT, mount as mountCall } from '../sys/mount-api.ts';
import { chdir, fchdir } from '../sys/namespaces.ts';
import type { Mount } from './mount.ts';
import { joinParameters, type Parameter, parseOptions } from './options.ts';

const MAX_DATA = 4095;

/** Performs one mount at `target`. `scratch` is a directory that short names can be made in. */
export function mountClassic(mount: Mount, target: string, scratch: string): void {
  const { flags, recursive, remount, parameters } = parseOptions(mount);
  const call = (list: readonly Parameter[]): void =>
    mountCall(mount.source, target, mount.type, flags | (remount ? MS_REMOUNT : 0), joinParameters(list));
  if (mount.type === 'bind') bind(mount.source, target, flags, recursive);
  else if (mount.type !== 'overlay') call(parameters);
  else if (standsAsItIs(parameters)) call(listLowers(parameters));
  else withShortNames(parameters, scratch, (short) => call(listLowers(short)));
}

function standsAsItIs(parameters: readonly Parameter[]): boolean {
  const separators = parameters.filter(isPath).some(({ value }) => /[,:\\]/.test(value ?? ''));
  return !separators && Buffer.byteLength(joinParameters(listLowers(parameters))) <= MAX_DATA;
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

function withShortNames(
  parameters: readonly Parameter[],
  scratch: string,
  use: (short: readonly Parameter[]) => void,
): void {
  const directory = mkdtempSync(join(scratch, 'names-'));
  const before = openSync('.', 'r');
  try {
    const short = parameters.map((parameter, index) => {
      if (!isPath(parameter) || parameter.value === undefined) return parameter;
      const name = index.toString(36);
      symlinkSync(parameter.value, join(directory, name));
      return { key: parameter.key, value: name };
    });
    chdir(directory);
    use(short);
  } finally {
    fchdir(before);
    closeSync(before);
    rmSync(directory, { recursive: true, force: true });
  }
}
