/**
 * Stages that several mounts share: an image file stays mounted at DIRECTORY/NAME while any mount is made of it, so
 * that all of them read it through one page cache.
 *
 * Nobody counts users. The kernel's mount tables tell who uses a stage (an overlay names its lower directories, a
 * bind mount shares its device), so a crash leaves nothing wrong, only a stage for the next sweep. Sweeping one that
 * is used after all would do no harm either: overlayfs holds its own reference, only the sharing would end.
 */
import { mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { closeFd, hasErrno } from '../sys/libc.ts';
import type { FileLock } from '../sys/locks.ts';
import { attachMount, MNT_DETACH, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import { openMount } from './detached.ts';
import { lockSync } from './lock.ts';
import type { Mount } from './mount.ts';
import { findMount, type MountInfo, readAllNamespaces, readMountInfo } from './mountinfo.ts';

/** Held while a stage is looked up and until the mount that uses it is made. */
export function lockStages(directory: string): FileLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return lockSync(join(directory, '.lock'));
}

/** The path of the stage, mounted now unless it was. The lock must be held. */
export function acquireStage(directory: string, stage: string, mount: Mount): string {
  const path = join(directory, stage);
  if (findMount(path)) return path;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const fd = openMount(mount);
  try {
    attachMount(fd, path);
  } finally {
    closeFd(fd);
  }
  return path;
}

/** Takes away the stages that no mount in any namespace is made of; returns their names. */
export function sweepStages(directory: string): string[] {
  using _lock = lockStages(directory);
  const mounted = readMountInfo().filter((mount) => mount.mountPoint.startsWith(`${directory}/`));
  const used = mounted.length === 0 ? new Set<string>() : usedAmong(mounted);
  const swept = mounted.filter((mount) => !used.has(mount.mountPoint)).map((mount) => mount.mountPoint);
  for (const path of swept) umount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  for (const name of readdirSync(directory)) {
    if (name !== '.lock' && !used.has(join(directory, name))) removeEmpty(join(directory, name));
  }
  return swept.map((path) => path.slice(directory.length + 1));
}

function usedAmong(stages: readonly MountInfo[]): Set<string> {
  const used = new Set<string>();
  const places = new Set(stages.map((stage) => stage.mountPoint));
  for (const namespace of readAllNamespaces()) {
    const elsewhere = namespace.filter((mount) => !places.has(mount.mountPoint));
    for (const { device, mountPoint } of stages) {
      if (elsewhere.some((mount) => mount.device === device || namesLower(mount, mountPoint))) used.add(mountPoint);
    }
  }
  return used;
}

function namesLower(mount: MountInfo, stage: string): boolean {
  return mount.superOptions.some((option) => {
    const value = option.slice(option.indexOf('=') + 1);
    return value === stage || value.startsWith(`${stage}/`);
  });
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Another mount came upon it in another namespace, or somebody put files there: not ours to force.
    if (!hasErrno(error, 'EBUSY', 'ENOTEMPTY', 'ENOTDIR')) throw error;
  }
}
