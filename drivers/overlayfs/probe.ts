/** Whether overlayfs works for a store, found by mounting one where the store is and using it. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { asTslayerError } from '../../src/errors.ts';
import { kernelFeatures } from '../../src/mounts/kernel.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { openMounts } from '../../src/mounts/open.ts';
import { DT_REG, openDirectoryAt, readDirectoryFd } from '../../src/sys/at.ts';
import { closeFd, hasErrno } from '../../src/sys/libc.ts';
import { AT_FDCWD, FsContext } from '../../src/sys/mount-api.ts';
import type { Probe } from '../driver.ts';
import { FEATURE_OPTIONS, MAX_LOWER } from '../overlay/options.ts';

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

export async function probeOverlay(directory: string): Promise<Probe> {
  let temporary: string | undefined;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const refused = REFUSED[statfsSync(directory).type];
    if (refused !== undefined) return unavailable(`${directory} lies on ${refused}`);
    temporary = mkdtempSync(join(directory, '.probe-'));
    const problem = tryOverlay(temporary);
    if (problem !== undefined) return unavailable(problem);
    return { available: true, reason: 'the kernel merges directories here', features: features(temporary) };
  } catch (error) {
    return unavailable(reasonOf(error));
  } finally {
    if (temporary !== undefined) rmSync(temporary, { recursive: true, force: true });
  }
}

function unavailable(reason: string): Probe {
  return { available: false, reason, features: {} };
}

/** Deletes a lower file through a mounted overlay and looks for the whiteout; says what is wrong. */
function tryOverlay(directory: string): string | undefined {
  for (const name of ['lower', 'upper', 'work']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'lower', 'file'), '');
  if (!tellsTypes(join(directory, 'lower'))) {
    return 'the file system does not tell the types of directory entries (XFS: made with ftype=0)';
  }
  using opened = openMounts([trialMount(directory, [...FEATURE_OPTIONS, ...extraOptions()])], { scratch: directory });
  try {
    unlinkSync(`/proc/self/fd/${opened.fd}/file`);
  } catch (error) {
    if (hasErrno(error, 'EROFS')) return 'the kernel refuses this file system as an upper directory';
    throw error;
  }
  const [whiteout] = readdirSync(join(directory, 'upper'));
  return whiteout === 'file' ? undefined : 'a deleted file leaves no whiteout';
}

const extraOptions = (): string[] => (inUserNamespace() ? ['userxattr'] : []);

function trialMount(directory: string, options: readonly string[]): Mount {
  const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(directory, name));
  const places = [`lowerdir+=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
  return { type: 'overlay', source: 'overlay', options: [...places, ...options] };
}

function tellsTypes(directory: string): boolean {
  const fd = openDirectoryAt(AT_FDCWD, directory);
  try {
    return readDirectoryFd(fd).every(({ type }) => type === DT_REG);
  } finally {
    closeFd(fd);
  }
}

/** What the kernel has, and what of it is used. */
function features(directory: string): Probe['features'] {
  const { mountApi, lowerdirAdd } = kernelFeatures();
  const used = (option: string, choice: string): string =>
    takes(option) ? `${choice} (the kernel has it)` : `${choice} (the kernel lacks it)`;
  return {
    'mount API': mountApi,
    'lowerdir+': lowerdirAdd,
    'maximum layers': MAX_LOWER,
    redirect_dir: used('redirect_dir=on', 'nofollow'),
    metacopy: used('metacopy=on', 'off'),
    index: used('index=on', 'off'),
    xino: used('xino=on', 'auto'),
    volatile: takes('volatile') && worksVolatile(directory),
    userxattr: inUserNamespace(),
  };
}

/** Whether the option is known at all. */
function takes(option: string): boolean {
  const [key = '', value] = option.split('=');
  const parameter = `/sys/module/overlay/parameters/${key}`;
  if (!kernelFeatures().lowerdirAdd) return existsSync(parameter);
  try {
    using context = new FsContext('overlay');
    if (value === undefined) context.flag(key);
    else context.set(key, value);
    return true;
  } catch (error) {
    if (hasErrno(error, 'EINVAL')) return false;
    throw error;
  }
}

function worksVolatile(directory: string): boolean {
  try {
    rmSync(join(directory, 'work'), { recursive: true });
    mkdirSync(join(directory, 'work'));
    openMounts([trialMount(directory, ['volatile'])], { scratch: directory })[Symbol.dispose]();
    return true;
  } catch (error) {
    if (hasErrno((error as Error).cause, 'EINVAL')) return false;
    throw error;
  }
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (hasErrno(cause, 'ENODEV')) return 'the kernel has no overlayfs (CONFIG_OVERLAY_FS)';
  if (hasErrno(cause, 'EPERM', 'EACCES')) return 'mounting needs root';
  return asTslayerError(error).message;
}
