/**
 * Stages that several mounts share: an image file stays mounted at DIRECTORY/NAME while any mount is made of it, so
 * that all of them read it through one page cache.
 *
 * Nobody counts users. The kernel's mount table tells who uses a stage (an overlay names its lower directories, a
 * bind mount shares its device), so a crash leaves nothing wrong, only a stage for the next sweep.
 *
 * The table of this mount namespace alone is asked. Others hold copies of what was mounted when they were made, also
 * of the very mount that was just taken away: asking them would leave a stage for as long as any of them lives.
 * Nothing is lost by sweeping a stage that one of them does use: an overlay holds its own reference, and a namespace
 * has its own mount of the stage. Only the sharing would end: whoever uses stages in a namespace of its own claims
 * them, by a file of their names in DIRECTORY/.claims, for as long as it does.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statAt } from '../sys/at.ts';
import { closeFd, hasErrno } from '../sys/libc.ts';
import type { FileLock } from '../sys/locks.ts';
import { AT_FDCWD, attachMount, MNT_DETACH, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import { openMount } from './detached.ts';
import { lockSync } from './lock.ts';
import type { Mount } from './mount.ts';
import { type MountInfo, readMountInfo } from './mountinfo.ts';

/** Held while a stage is looked up and until the mount that uses it is made. */
export function lockStages(directory: string): FileLock {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return lockSync(join(directory, '.lock'));
}

/** The path of the stage, mounted now unless it was. The lock must be held. */
export function acquireStage(directory: string, stage: string, mount: Mount): string {
  const path = join(directory, stage);
  // Asked of the place itself: the mount table, read for each of many stages, costs more than mounting them.
  if (statAt(AT_FDCWD, path)?.mountRoot) return path;
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const fd = openMount(mount);
  try {
    attachMount(fd, path);
  } finally {
    closeFd(fd);
  }
  return path;
}

/** Takes away the stages that no mount is made of; returns their names. */
export function sweepStages(directory: string): string[] {
  using _lock = lockStages(directory);
  const mounts = readMountInfo();
  const mounted = mounts.filter((mount) => mount.mountPoint.startsWith(`${directory}/`));
  const used = usedAmong(mounted, mounts, directory);
  for (const stage of claimedStages(directory)) used.add(join(directory, stage));
  const swept = mounted.filter((mount) => !used.has(mount.mountPoint)).map((mount) => mount.mountPoint);
  for (const path of swept) umount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
  for (const name of readdirSync(directory)) {
    if (!name.startsWith('.') && !used.has(join(directory, name))) removeEmpty(join(directory, name));
  }
  return swept.map((path) => path.slice(directory.length + 1));
}

const CLAIMS = '.claims';

/** Keeps stages from being swept until the claim of this name is dropped. */
export function claimStages(directory: string, claim: string, stages: readonly string[]): void {
  mkdirSync(join(directory, CLAIMS), { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, CLAIMS, claim), stages.join('\n'), { mode: 0o600 });
}

export function dropClaim(directory: string, claim: string): void {
  rmSync(join(directory, CLAIMS, claim), { force: true });
}

function claimedStages(directory: string): string[] {
  const claims = join(directory, CLAIMS);
  if (!existsSync(claims)) return [];
  return readdirSync(claims).flatMap((name) => readClaim(join(claims, name)));
}

/** One that is dropped at this moment, without the lock, claims nothing. */
function readClaim(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    return [];
  }
}

/** Stages that a mount elsewhere names as a lower directory, or shares the device of. One look at each mount. */
function usedAmong(stages: readonly MountInfo[], mounts: readonly MountInfo[], directory: string): Set<string> {
  const places = new Set(stages.map((stage) => stage.mountPoint));
  const devices = new Set<string>();
  const used = new Set<string>();
  for (const mount of mounts) {
    if (places.has(mount.mountPoint)) continue;
    devices.add(mount.device);
    for (const option of mount.superOptions) {
      const value = option.slice(option.indexOf('=') + 1);
      if (!value.startsWith(`${directory}/`)) continue;
      const end = value.indexOf('/', directory.length + 1);
      used.add(end === -1 ? value : value.slice(0, end));
    }
  }
  for (const { device, mountPoint } of stages) if (devices.has(device)) used.add(mountPoint);
  return used;
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Another mount came upon it in another namespace, or somebody put files there: not ours to force.
    if (!hasErrno(error, 'EBUSY', 'ENOTEMPTY', 'ENOTDIR')) throw error;
  }
}
