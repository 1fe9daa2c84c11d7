/**
 * AUFS' unions, of every mount namespace and also detached ones, as sysfs tells them: `si_ID/brN` holds one branch
 * each, `PATH=rw`. The mount table has a union's id and no branch.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasErrno } from '../sys/libc.ts';
import { namesIn } from '../sys/names-in.ts';
import { pauseSync } from './lock.ts';
import { type MountInfo, readMountInfo, unescapeField } from './mountinfo.ts';

const SYSFS = '/sys/fs/aufs';

export interface Branch {
  readonly path: string;
  readonly writable: boolean;
}

/** The id of a mounted union; undefined for other file systems. */
export function unionIdOf(mount: MountInfo): string | undefined {
  if (mount.type !== 'aufs') return undefined;
  return mount.superOptions.find((option) => option.startsWith('si='))?.slice('si='.length);
}

/** Ids of all unions that the kernel has. */
export function unionsNow(sysfs: string = SYSFS): string[] {
  return namesIn(sysfs)
    .filter((name) => name.startsWith('si_'))
    .map((name) => name.slice('si_'.length));
}

/** Top first; empty for a union that is gone. */
export function branchesOf(id: string, sysfs: string = SYSFS): Branch[] {
  const directory = join(sysfs, `si_${id}`);
  return namesIn(directory)
    .flatMap((name) => /^br(\d+)$/.exec(name)?.[1] ?? [])
    .sort((a, b) => Number(a) - Number(b))
    .flatMap((number) => branchFrom(readAttribute(join(directory, `br${number}`))));
}

export function writableBranches(id: string, sysfs: string = SYSFS): string[] {
  return branchesOf(id, sysfs)
    .filter(({ writable }) => writable)
    .map(({ path }) => path);
}

/**
 * `PATH=rw+icex`, `PATH=ro+wh`: a path holds no `=`, AUFS could not mount it. White space and backslashes come as
 * three octal digits, as in the mount table.
 */
function branchFrom(text: string): Branch[] {
  const [, path, access] = /^(.*)=(r[orw])[^=]*\n$/s.exec(text) ?? [];
  return path === undefined ? [] : [{ path: unescapeField(path), writable: access === 'rw' }];
}

const TRIES = 100;
const PAUSE_MS = 10;

/** While a union is remounted, in another process perhaps, AUFS answers EBUSY. Empty when the union has gone. */
function readAttribute(path: string): string {
  for (let tries = TRIES; ; tries--) {
    try {
      return readFileSync(path, 'latin1');
    } catch (error) {
      if (hasErrno(error, 'ENOENT', 'ENODEV')) return '';
      if (tries === 1 || !hasErrno(error, 'EBUSY')) throw error;
      pauseSync(PAUSE_MS);
    }
  }
}

export interface UnionUser {
  readonly id: string;
  /** Undefined where this process cannot see it: in another mount namespace, or detached and still in use. */
  readonly mountPoint: string | undefined;
}

/** A namespace's mounts go a moment after its last process. */
const LEAVING_TRIES = 10;
const LEAVING_PAUSE_MS = 50;

/** The union that has a branch which `isUsed` says yes to; what is on its way out is waited for. */
export function findUnion(isUsed: (branch: Branch) => boolean, sysfs: string = SYSFS): UnionUser | undefined {
  for (let tries = LEAVING_TRIES; ; tries--) {
    const id = unionsNow(sysfs).find((union) => branchesOf(union, sysfs).some(isUsed));
    if (id === undefined) return undefined;
    const mountPoint = readMountInfo().find((mount) => unionIdOf(mount) === id)?.mountPoint;
    if (mountPoint !== undefined || tries === 1) return { id, mountPoint };
    pauseSync(LEAVING_PAUSE_MS);
  }
}

export function describeUser({ mountPoint }: UnionUser): string {
  return mountPoint === undefined ? 'in another mount namespace' : `at ${mountPoint}`;
}
