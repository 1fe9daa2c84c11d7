/** Takes mounts away. Synchronous, like performing them. */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { asTslayerError, TslayerError } from '../errors.ts';
import { hasErrno } from '../sys/libc.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import { flushPseudoLinks } from './aufs-links.ts';
import { pauseSync } from './lock.ts';
import { findMount, type MountInfo, readMountInfo } from './mountinfo.ts';
import { sweepStages } from './shared-stages.ts';

export interface UnmountOptions {
  /** The directory that was given to performMounts: stages that nothing uses any more are taken away. */
  readonly stages?: string | undefined;
  /** Take it out of the tree at once, even while it is in use; the kernel lets go of it with the last user. */
  readonly detach?: boolean | undefined;
}

/** AUFS is busy for a moment after its last user went. */
const AUFS_TRIES = 5;
const AUFS_PAUSE_MS = 100;

/**
 * Unmounts what is mounted at `target`. False when nothing is: doing it twice is no error.
 *
 * @throws TslayerError IN_USE while a process works in it.
 */
export function unmount(target: string, options: UnmountOptions = {}): boolean {
  const path = canonical(target);
  const found = findMount(path);
  if (!found) return false;
  try {
    // Also before it is detached: nobody can reach it to do so when its last user is gone.
    if (found.type === 'aufs') flushPseudoLinks(found);
    if (options.detach) umount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    else unmountFound(path, found);
  } catch (error) {
    if (!hasErrno(error, 'EBUSY')) throw asTslayerError(error, `cannot unmount ${path}`);
    throw new TslayerError('IN_USE', `cannot unmount ${path}: it is in use`, {
      hint: `end the programs that work in it (fuser -vm ${path} names them)`,
      cause: error,
    });
  }
  if (options.stages !== undefined && existsSync(options.stages)) sweepStages(options.stages);
  return true;
}

function unmountFound(path: string, found: MountInfo): void {
  for (let tries = found.type === 'aufs' ? AUFS_TRIES : 1; ; tries--) {
    try {
      umount(path);
      return;
    } catch (error) {
      if (tries === 1 || !hasErrno(error, 'EBUSY')) throw error;
      pauseSync(AUFS_PAUSE_MS);
    }
  }
}

/** Detaches everything mounted below a directory, the deepest first: before its content is swept. */
export function detachBelow(directory: string): void {
  const below = readMountInfo().filter((mount) => mount.mountPoint.startsWith(`${canonical(directory)}/`));
  for (const mount of below.reverse()) umount(mount.mountPoint, MNT_DETACH | UMOUNT_NOFOLLOW);
}

export function isMounted(target: string): boolean {
  return findMount(canonical(target)) !== undefined;
}

/** As the mount table spells it. The last component is not looked at: what is mounted there may be broken. */
function canonical(target: string): string {
  try {
    return join(realpathSync(dirname(target)), basename(target));
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return target;
    throw error;
  }
}
