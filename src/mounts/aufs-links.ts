/**
 * AUFS' pseudo-links: a hard link of which only some names were copied up. They live in memory and as
 * `.wh..wh.plnk/<inode>.<branch inode>` in the writable branch; unmounting without a flush splits the link. The
 * flush that auplink(8) does: set the owner of every other name to what it is, which copies it up.
 */
import { closeSync, openSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { chownAt, O_DIRECTORY, O_RDONLY, statFd } from '../sys/at.ts';
import { hasErrno } from '../sys/libc.ts';
import { namesIn } from '../sys/names-in.ts';
import { walkTree } from '../sys/walk.ts';
import { unionIdOf, unionsNow, writableBranches } from './aufs-unions.ts';
import { findMount, type MountInfo, parseMountInfo, readMountInfo } from './mountinfo.ts';

const LINKS = '.wh..wh.plnk';
/** chown(2)'s "leave as it is". */
const UNCHANGED = 0xffffffff;

/** Copies up the names that are missing. Returns how many; a union without pseudo-links is not walked. */
export function flushPseudoLinks(mount: MountInfo, sysfs?: string): number {
  const inodes = listedBelow(unionIdOf(mount), sysfs);
  if (inodes.size === 0) return 0;
  const root = openSync(mount.mountPoint, O_RDONLY | O_DIRECTORY);
  try {
    return flushBelow(root, inodes);
  } finally {
    closeSync(root);
  }
}

/**
 * Keeps a union that is about to be detached from going with its last user: its pseudo-links are flushed when that
 * one is gone, by disposing.
 */
export function holdUnion(target: string): Disposable | undefined {
  const mount = findMount(target);
  const id = mount && unionIdOf(mount);
  if (id === undefined) return undefined;
  const root = openSync(target, O_RDONLY | O_DIRECTORY);
  return {
    [Symbol.dispose]: () => {
      try {
        flushBelow(root, listedBelow(id));
      } finally {
        closeSync(root);
      }
    },
  };
}

/** Flushes the union that is being written to `branch`, wherever it is mounted. */
export function flushUnionOf(branch: string): void {
  const id = unionsNow().find((union) => writableBranches(union).includes(branch));
  const inodes = listedBelow(id);
  if (id === undefined || inodes.size === 0) return;
  const root = openUnion(id);
  if (root === undefined) return;
  try {
    flushBelow(root, inodes);
  } finally {
    closeSync(root);
  }
}

/** By this process's mount table, or through a process that has it in its own: a container's. */
function openUnion(id: string): number | undefined {
  const own = readMountInfo().find((mount) => unionIdOf(mount) === id);
  if (own) return openSync(own.mountPoint, O_RDONLY | O_DIRECTORY);
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const mount = parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`)).find((each) => unionIdOf(each) === id);
      if (!mount) continue;
      const root = openSync(`/proc/${pid}/root${mount.mountPoint}`, O_RDONLY | O_DIRECTORY);
      // What the container has put there meanwhile is not asked for.
      if (statOf(root) === mount.device) return root;
      closeSync(root);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT', 'ESRCH', 'EINVAL', 'ENOTDIR')) throw error;
    }
  }
  return undefined;
}

const statOf = (fd: number): string => statFd(fd).fileSystem;

function flushBelow(root: number, inodes: ReadonlySet<bigint>): number {
  if (inodes.size === 0) return 0;
  const fileSystem = statOf(root);
  let flushed = 0;
  for (const visit of walkTree(root)) {
    // Mounted inside, /proc as a container's; its inode numbers are its own.
    if (visit.stat.fileSystem !== fileSystem) visit.descend = false;
    else if (visit.fd === -1 && inodes.has(visit.stat.ino)) {
      chownAt(visit.parentFd, visit.name, UNCHANGED, UNCHANGED);
      flushed++;
    }
  }
  return flushed;
}

/**
 * Forgets what earlier unions listed in a branch, before it is mounted: AUFS leaves it there, numbers inodes anew, and
 * a flush would copy up files that have nothing to do with any link. No union may have the branch.
 */
export function forgetPseudoLinks(branch: string): void {
  const directory = join(branch, LINKS);
  for (const name of namesIn(directory)) unlinkSync(join(directory, name));
}

function listedBelow(id: string | undefined, sysfs?: string): ReadonlySet<bigint> {
  return new Set(id === undefined ? [] : writableBranches(id, sysfs).flatMap(listedInodes));
}

function listedInodes(branch: string): bigint[] {
  return namesIn(join(branch, LINKS)).flatMap((name) => {
    const inode = /^(\d+)\.\d+$/.exec(name)?.[1];
    return inode === undefined ? [] : [BigInt(inode)];
  });
}
