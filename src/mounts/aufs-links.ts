/**
 * AUFS' pseudo-links: a hard link of which only some names were copied up. They live in memory and as
 * `.wh..wh.plnk/<inode>.<branch inode>` in the writable branch; unmounting without a flush splits the link. The
 * flush that auplink(8) does: set the owner of every other name to what it is, which copies it up.
 */
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chownAt, O_DIRECTORY, O_RDONLY } from '../sys/at.ts';
import { hasErrno } from '../sys/libc.ts';
import { walkTree } from '../sys/walk.ts';
import type { MountInfo } from './mountinfo.ts';

const SYSFS = '/sys/fs/aufs';
const LINKS = '.wh..wh.plnk';
/** chown(2)'s "leave as it is". */
const UNCHANGED = 0xffffffff;

/** Copies up the names that are missing. Returns how many; a union without pseudo-links is not walked. */
export function flushPseudoLinks(mount: MountInfo, sysfs: string = SYSFS): number {
  const inodes = new Set(writableBranches(mount, sysfs).flatMap(listedInodes));
  if (inodes.size === 0) return 0;
  const root = openSync(mount.mountPoint, O_RDONLY | O_DIRECTORY);
  let flushed = 0;
  try {
    for (const { fd, parentFd, name, stat } of walkTree(root)) {
      if (fd !== -1 || !inodes.has(stat.ino)) continue;
      chownAt(parentFd, name, UNCHANGED, UNCHANGED);
      flushed++;
    }
  } finally {
    closeSync(root);
  }
  return flushed;
}

export interface Branch {
  readonly path: string;
  readonly writable: boolean;
}

/** Branches are not in the mount table but in sysfs, `PATH=rw` in one file each; the table has the union's id. */
export function branchesOf(mount: MountInfo, sysfs: string = SYSFS): Branch[] {
  const id = mount.superOptions.find((option) => option.startsWith('si='))?.slice('si='.length);
  if (id === undefined) return [];
  const directory = join(sysfs, `si_${id}`);
  return namesIn(directory)
    .filter((name) => /^br\d+$/.test(name))
    .flatMap((name) => branchFrom(readFileSync(join(directory, name), 'utf8').trim()));
}

/** `PATH=rw+icex`, `PATH=ro+wh`: a path holds no `=`, AUFS could not mount it. */
function branchFrom(text: string): Branch[] {
  const [, path, access] = /^(.*)=(r[orw])[^=]*$/s.exec(text) ?? [];
  return path === undefined ? [] : [{ path, writable: access === 'rw' }];
}

export function writableBranches(mount: MountInfo, sysfs: string = SYSFS): string[] {
  return branchesOf(mount, sysfs)
    .filter(({ writable }) => writable)
    .map(({ path }) => path);
}

function listedInodes(branch: string): bigint[] {
  return namesIn(join(branch, LINKS)).flatMap((name) => {
    const inode = /^(\d+)\.\d+$/.exec(name)?.[1];
    return inode === undefined ? [] : [BigInt(inode)];
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return [];
    throw error;
  }
}
