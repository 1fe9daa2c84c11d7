/** Mounts to read from that nobody else sees: a driver looks at a stack without a mountpoint. */
import { closeSync, mkdtempSync, openSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asTslayerError } from '../errors.ts';
import { O_DIRECTORY, O_RDONLY, openDirectoryAt } from '../sys/at.ts';
import { closeFd } from '../sys/libc.ts';
import { MNT_DETACH, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import type { Mount } from './mount.ts';
import { openDetachedMounts, type PerformOptions, performMounts } from './perform.ts';

/** The root directory of mounts that are gone when it is disposed. */
export interface OpenedMounts extends Disposable {
  readonly fd: number;
}

/** @throws TslayerError as performMounts. */
export function openMounts(mounts: readonly Mount[], options: PerformOptions = {}): OpenedMounts {
  const mountFd = openDetachedMounts(mounts, options);
  if (mountFd === undefined) return openAttached(mounts, options);
  try {
    // The mount's own descriptor cannot be read from, as O_PATH cannot; this one keeps the mount alive.
    const fd = openDirectoryAt(mountFd, '.');
    return { fd, [Symbol.dispose]: () => closeFd(fd) };
  } catch (error) {
    throw asTslayerError(error, `cannot read the mounted ${mounts.at(-1)?.type}`);
  } finally {
    closeFd(mountFd);
  }
}

/**
 * On older kernels, attached for as long as it takes to open its root: the kernel keeps a detached mount while a file in
 * it is open.
 */
function openAttached(mounts: readonly Mount[], options: PerformOptions): OpenedMounts {
  const directory = mkdtempSync(join(options.scratch ?? tmpdir(), 'tslayer-view-'));
  try {
    performMounts(mounts, directory, options);
    try {
      const fd = openSync(directory, O_RDONLY | O_DIRECTORY);
      return { fd, [Symbol.dispose]: () => closeSync(fd) };
    } finally {
      umount(directory, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
  } finally {
    rmdirSync(directory);
  }
}
