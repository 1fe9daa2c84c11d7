/**
 * Performs mounts: on the host, or inside a new mount namespace by the launcher. All of it is synchronous, so that
 * it also works on a thread whose namespaces differ from the process's and where no thread pool may start.
 */
import { tmpdir } from 'node:os';
import { asTslayerError, TslayerError, throwIfAborted } from '../errors.ts';
import { closeFd, hasErrno } from '../sys/libc.ts';
import { attachMount, MNT_DETACH, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import { forgetPseudoLinks } from './aufs-links.ts';
import { mountClassic } from './classic.ts';
import { openMount } from './detached.ts';
import { type KernelFeatures, kernelFeatures, refusesDetachedLayers } from './kernel.ts';
import { lockSync } from './lock.ts';
import type { Mount } from './mount.ts';
import { Stages } from './stages.ts';
import { aufsUppers, requireOwnUpper } from './users.ts';

export interface PerformOptions {
  /**
   * Directory where image files stay mounted while mounts use them (ROOT/run/stages), so that all mounts of an
   * image read through one page cache; `unmount` with the same directory takes them away. Without it each list of
   * mounts has its own.
   */
  readonly stages?: string | undefined;
  /** Existing directory for what older kernels need for the length of the call. Default: the system's temporary one. */
  readonly scratch?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Pretends an older kernel, for tests. */
  readonly kernel?: Partial<KernelFeatures> | undefined;
}

/**
 * Performs `mounts` in order at `target`, an existing directory. All or nothing: after a failure `target` is as it
 * was.
 *
 * @throws TslayerError DENIED without the privilege, IN_USE when the kernel says that a directory is taken,
 *   NOT_FOUND for a layer that is not there, UNSUPPORTED or FAILED for the rest.
 */
export function performMounts(mounts: readonly Mount[], target: string, options: PerformOptions = {}): void {
  tryBoth(mounts, target, options, (kernel) => performOn(kernel, mounts, target, options));
}

/**
 * The same as one detached mount, whose descriptor the caller attaches, in another mount namespace perhaps, and
 * closes. Undefined where the kernel, or a list of several mounts, needs a place to mount on.
 */
export function openDetachedMounts(mounts: readonly Mount[], options: PerformOptions = {}): number | undefined {
  const last = mounts.at(-1);
  const kernel = { ...kernelFeatures(), ...options.kernel };
  const single = mounts.every((mount) => (mount.stage === undefined) === (mount === last));
  if (last === undefined || !single || !byDescriptor(kernel, last)) return undefined;
  return tryBoth(mounts, undefined, options, (features) => openOver(features, mounts, options));
}

function openOver(kernel: KernelFeatures, mounts: readonly Mount[], options: PerformOptions): number {
  using stages = openStages(kernel, options);
  for (const mount of mounts) {
    if (mount.stage === undefined) return openMount(stages.resolve(mount), stages.ownerFor(mount));
    stages.add(mount.stage, stages.resolve(mount));
  }
  throw new Error('no mount over the stages');
}

/** With what the kernel is believed to take; and again when it shows that it does not. */
function tryBoth<T>(
  mounts: readonly Mount[],
  target: string | undefined,
  options: PerformOptions,
  make: (kernel: KernelFeatures) => T,
): T {
  throwIfAborted(options.signal);
  const path = mounts.find((mount) => mount.lock !== undefined)?.lock;
  using _lock = path === undefined ? undefined : lockSync(path);
  requireOwnUpper(mounts);
  for (const branch of aufsUppers(mounts)) forgetPseudoLinks(branch);
  const kernel = { ...kernelFeatures(), ...options.kernel };
  try {
    return make(kernel);
  } catch (error) {
    const staged = mounts.some((mount) => mount.stage !== undefined);
    // Before 6.15 overlayfs refuses a layer on a mount that is attached nowhere, as EINVAL like much else.
    if (!(staged && kernel.detachedLayers && hasErrno(error, 'EINVAL'))) throw describe(error, mounts, target);
    try {
      const made = make({ ...kernel, detachedLayers: false });
      refusesDetachedLayers();
      return made;
    } catch (again) {
      throw describe(again, mounts, target);
    }
  }
}

function performOn(kernel: KernelFeatures, mounts: readonly Mount[], target: string, options: PerformOptions): void {
  using stages = openStages(kernel, options);
  let made = false;
  try {
    for (const mount of mounts) {
      throwIfAborted(options.signal);
      if (mount.stage !== undefined) stages.add(mount.stage, stages.resolve(mount));
      else {
        performOne(kernel, mount, stages, target, scratchOf(options));
        made = true;
      }
    }
  } catch (error) {
    if (made) umount(target, MNT_DETACH | UMOUNT_NOFOLLOW);
    throw error;
  }
}

const scratchOf = ({ scratch }: PerformOptions): string => scratch ?? tmpdir();

function openStages(kernel: KernelFeatures, options: PerformOptions): Stages {
  return new Stages({ shared: options.stages, scratch: scratchOf(options), detached: kernel.detachedLayers });
}

function performOne(kernel: KernelFeatures, mount: Mount, stages: Stages, target: string, scratch: string): void {
  const resolved = stages.resolve(mount);
  if (!byDescriptor(kernel, mount)) {
    mountClassic(resolved, target, scratch);
    return;
  }
  const fd = openMount(resolved, stages.ownerFor(mount));
  try {
    attachMount(fd, target);
  } finally {
    closeFd(fd);
  }
}

/** AUFS reads its branches from mount(2)'s string, and is changed by remounts of the same kind. */
function byDescriptor(kernel: KernelFeatures, mount: Mount): boolean {
  if (mount.type === 'aufs') return false;
  return mount.type === 'overlay' ? kernel.lowerdirAdd : kernel.mountApi;
}

function describe(error: unknown, mounts: readonly Mount[], target: string | undefined): TslayerError {
  const type = mounts.at(-1)?.type ?? 'nothing';
  const doing = `cannot mount ${type}${target === undefined ? '' : ` at ${target}`}`;
  if (hasErrno(error, 'EPERM') && process.getuid?.() !== 0) {
    return new TslayerError('DENIED', `${doing}: this needs root`, { hint: 'run it with sudo', cause: error });
  }
  if (hasErrno(error, 'ENODEV')) {
    return new TslayerError('UNSUPPORTED', `${doing}: this kernel has no ${type}`, { cause: error });
  }
  return asTslayerError(error, doing);
}
