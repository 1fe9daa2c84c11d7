/** Which mount is made of a directory, as far as this namespace's mount table tells. */
import { TslayerError } from '../errors.ts';
import { describeUser, findUnion } from './aufs-unions.ts';
import type { Mount } from './mount.ts';
import { type MountInfo, readMountInfo } from './mountinfo.ts';
import { shortNameOf } from './short-names.ts';

/** The first mount that shows `directory` or something below it: a union of it, or a bind mount. */
export function findUser(directory: string, mounts: readonly MountInfo[] = readMountInfo()): MountInfo | undefined {
  const union = mounts.find(
    (mount) => mount.superOptions.some((option) => namesPath(option, directory)) || namesShortly(mount, directory),
  );
  return union ?? findBind(directory, mounts);
}

/**
 * Refuses to change directories of which one is mounted where this process can see it; `name` says what they are.
 * @throws TslayerError IN_USE
 */
export function requireUnused(directories: readonly string[], name: string): void {
  if (directories.length === 0) return;
  const mounts = readMountInfo();
  for (const directory of directories) {
    const user = findUser(directory, mounts);
    if (user) throw new TslayerError('IN_USE', `${name} is mounted at ${user.mountPoint}`);
  }
  const union = findUnion(({ path }) => directories.some((directory) => path.startsWith(`${directory}/`)));
  if (union) throw new TslayerError('IN_USE', `${name} is mounted ${describeUser(union)}`);
}

function namesPath(option: string, directory: string): boolean {
  const at = option.indexOf(directory);
  if (at === -1) return false;
  const before = option[at - 1];
  const after = option[at + directory.length];
  return (before === '=' || before === ':') && (after === undefined || after === '/' || after === ':');
}

/** Lower directories by short names, below the source: see classic.ts. */
function namesShortly({ type, source, superOptions }: MountInfo, directory: string): boolean {
  if (type !== 'overlay' || !directory.startsWith(`${source}/`)) return false;
  const name = shortNameOf(source, directory);
  const lowers = superOptions.find((option) => option.startsWith('lowerdir='));
  return lowers?.slice('lowerdir='.length).split(':').includes(name) ?? false;
}

/** A bind mount is told by its device, and by the directory's path from that file system's own root. */
function findBind(directory: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  const candidates = mounts.filter(({ root }) => root !== '/');
  if (candidates.length === 0) return undefined;
  const inside = mounts
    .filter(({ mountPoint }) => directory === mountPoint || directory.startsWith(mountPoint.replace(/\/?$/, '/')))
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length)[0];
  if (!inside) return undefined;
  const path = joinRoot(inside.root, directory.slice(inside.mountPoint.length));
  return candidates.find(
    ({ device, root }) => device === inside.device && (root === path || root.startsWith(`${path}/`)),
  );
}

function joinRoot(root: string, rest: string): string {
  return `${root}/${rest}`.replace(/\/+/g, '/');
}

/**
 * Refuses to give one writable directory to two unions: the kernel lets AUFS have it (and overlayfs too, with a
 * warning), and both then serve stale and torn files.
 *
 * @throws TslayerError IN_USE
 */
export function requireOwnUpper(mounts: readonly Mount[]): void {
  const overlays = mounts.flatMap(({ options }) => options.flatMap(overlayUpper));
  if (overlays.length > 0) {
    const table = readMountInfo().filter(({ type }) => type === 'overlay');
    const user = table.find(({ superOptions }) => superOptions.flatMap(overlayUpper).some(isOneOf(overlays)));
    if (user) throw mountedAlready(`at ${user.mountPoint}`);
  }
  const branches = aufsUppers(mounts);
  const union = branches.length > 0 && findUnion(({ path, writable }) => writable && branches.includes(path));
  if (union) throw mountedAlready(describeUser(union));
}

function mountedAlready(where: string): TslayerError {
  return new TslayerError('IN_USE', `the snapshot is mounted already, ${where}`, {
    hint: 'unmount it there, or mount a new snapshot of the same image',
  });
}

const isOneOf =
  (paths: readonly string[]) =>
  (escaped: string): boolean =>
    paths.includes(escaped.replace(/\\(.)/g, '$1'));

/** `upperdir=PATH` */
function overlayUpper(option: string): string[] {
  const path = /^upperdir=(.*)$/s.exec(option)?.[1];
  return path === undefined ? [] : [path];
}

/** The writable branches of unions that are to be mounted: `br:PATH=rw:…`. */
export function aufsUppers(mounts: readonly Mount[]): string[] {
  return mounts.flatMap(({ type, options }) => {
    if (type !== 'aufs') return [];
    return options.flatMap((option) => /^br:([^:]*)=rw[^:]*(?::.*)?$/s.exec(option)?.[1] ?? []);
  });
}
