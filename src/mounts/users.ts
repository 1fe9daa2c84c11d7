/** Which mount is made of a directory, as far as this namespace's mount table tells. */
import { TslayerError } from '../errors.ts';
import { writableBranches } from './aufs-links.ts';
import type { Mount } from './mount.ts';
import { type MountInfo, readMountInfo } from './mountinfo.ts';

/** The first mount that shows `directory` or something below it: a union of it, or a bind mount. */
export function findUser(directory: string, mounts: readonly MountInfo[] = readMountInfo()): MountInfo | undefined {
  const union = mounts.find(
    (mount) => mount.superOptions.some((option) => namesPath(option, directory)) || namesShortly(mount, directory),
  );
  return union ?? findBind(directory, mounts);
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
  const [name = ''] = directory.slice(source.length + 1).split('/');
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
  const paths = mounts.flatMap(({ options }) => options.flatMap(upperNamed));
  if (paths.length === 0) return;
  const table = readMountInfo().filter(({ type }) => type === 'overlay' || type === 'aufs');
  for (const path of paths) {
    const user = table.find((mount) => uppersOf(mount).includes(path));
    if (!user) continue;
    throw new TslayerError('IN_USE', `the snapshot is mounted already, at ${user.mountPoint}`, {
      hint: 'unmount it there, or mount a new snapshot of the same image',
    });
  }
}

/** `upperdir=PATH` of overlayfs, `br:PATH=rw:…` of AUFS. */
function upperNamed(option: string): string[] {
  const path = /^(?:upperdir=(.*)|br:([^:]*)=rw[^:]*(?::.*)?)$/s.exec(option);
  return path ? [path[1] ?? path[2] ?? ''] : [];
}

function uppersOf(mount: MountInfo): string[] {
  if (mount.type === 'aufs') return writableBranches(mount);
  return mount.superOptions.flatMap(upperNamed).map((path) => path.replace(/\\(.)/g, '$1'));
}
