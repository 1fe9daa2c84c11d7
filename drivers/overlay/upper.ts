/** Whether a place can hold upper directories, found by mounting an overlay there and using it. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { asTslayerError } from '../../src/errors.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { openMounts } from '../../src/mounts/open.ts';
import { DT_DIR, DT_REG, openDirectoryAt, readDirectoryFd } from '../../src/sys/at.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';
import { makeDirectories } from '../../src/sys/make-directories.ts';
import { AT_FDCWD } from '../../src/sys/mount-api.ts';
import { overlayMarks } from '../changes/overlay.ts';
import { FEATURE_OPTIONS, knowsVolatile } from './options.ts';

/** statfs(2)'s magic numbers of those that cannot hold an upper directory, or not reliably. */
const REFUSED: Readonly<Record<number, string>> = {
  2035054128: 'overlayfs (an overlay cannot be the upper directory of another)',
  26985: 'NFS (no device nodes of whiteouts, no trusted attributes)',
  1635083891: 'AUFS',
  61791: 'eCryptfs',
  19780: 'FAT (no owners, no attributes)',
  1702057286: 'FUSE (whether renames can leave a whiteout depends on its program)',
};

/** No user namespace but the first maps every id to itself. */
export function inUserNamespace(): boolean {
  const map = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
  return map.join(' ') !== '0 0 4294967295';
}

/** Why there can be no upper directory in `directory`, one line; undefined when there can. Leaves nothing behind. */
export function whyNoUpper(directory: string): string | undefined {
  try {
    makeDirectories(directory, 0o700);
    const refused = REFUSED[statfsSync(directory).type];
    if (refused !== undefined) return `${directory} lies on ${refused}`;
    const temporary = mkdtempSync(join(directory, '.probe-'));
    try {
      return tryOverlay(temporary);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    return reasonOf(error);
  }
}

/** Whether an overlay can be mounted there without being synced. The place is known to hold upper directories. */
export function worksVolatile(directory: string): boolean {
  const temporary = mkdtempSync(join(directory, '.probe-'));
  try {
    for (const name of PARTS) mkdirSync(join(temporary, name));
    openMounts([trialMount(temporary, ['volatile'])], { scratch: temporary })[Symbol.dispose]();
    return true;
  } catch (error) {
    if (hasErrno((error as Error).cause, 'EINVAL')) return false;
    throw error;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

const PARTS = ['lower', 'upper', 'work'];

/** Deletes a lower file through a mounted overlay, replaces a directory, and looks for the marks; says what is wrong. */
function tryOverlay(directory: string): string | undefined {
  for (const name of [...PARTS, 'lower/dir']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'lower', 'file'), '');
  if (!tellsTypes(join(directory, 'lower'))) {
    return 'the file system does not tell the types of directory entries (XFS: made with ftype=0)';
  }
  const options = [...FEATURE_OPTIONS, ...extraOptions(), ...volatileOption()];
  using opened = openMounts([trialMount(directory, options)], { scratch: directory });
  const merged = `/proc/self/fd/${opened.fd}`;
  try {
    unlinkSync(join(merged, 'file'));
    rmdirSync(join(merged, 'dir'));
  } catch (error) {
    if (hasErrno(error, 'EROFS')) return 'the kernel refuses this file system as an upper directory';
    throw error;
  }
  const upper = join(directory, 'upper');
  if (readdirSync(upper).sort().join() !== 'dir,file') return 'a deleted file leaves no whiteout';
  return storesMarks(merged, upper) ? undefined : 'the file system stores no extended attributes (opaque directories)';
}

/** Without them overlayfs mounts all the same, and says so in the kernel's log alone. */
function storesMarks(merged: string, upper: string): boolean {
  try {
    mkdirSync(join(merged, 'dir'));
  } catch (error) {
    if (hasErrno(error, 'EOPNOTSUPP', 'EIO')) return false;
    throw error;
  }
  return overlayMarks(inUserNamespace()).isOpaque(Buffer.from(join(upper, 'dir')));
}

/**
 * Without it the unmount syncs the whole file system that the upper directory is on, with all that anybody has written
 * there: seconds, on a machine at work.
 */
const volatileOption = (): string[] => (knowsVolatile() ? ['volatile'] : []);

const extraOptions = (): string[] => (inUserNamespace() ? ['userxattr'] : []);

function trialMount(directory: string, options: readonly string[]): Mount {
  const [lower, upper, work] = PARTS.map((name) => join(directory, name));
  const places = [`lowerdir+=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  return { type: 'overlay', source: 'overlay', options: [...places, ...options] };
}

function tellsTypes(directory: string): boolean {
  const fd = openDirectoryAt(AT_FDCWD, directory);
  try {
    return readDirectoryFd(fd).every(({ name, type }) => type === (name.toString() === 'dir' ? DT_DIR : DT_REG));
  } finally {
    closeFd(fd);
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (hasErrno(cause, 'ENODEV')) return 'the kernel has no overlayfs (CONFIG_OVERLAY_FS)';
  if (hasErrno(cause, 'EPERM', 'EACCES')) return 'mounting needs root';
  if (hasErrno(cause, 'EROFS')) return 'the store lies on a read-only file system';
  return asTslayerError(error).message;
}
