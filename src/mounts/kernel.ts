/** What the running kernel can do for the mounter, found by trying, once a process. */
import { hasErrno } from '../sys/libc.ts';
import { FsContext, hasMountApi } from '../sys/mount-api.ts';

export interface KernelFeatures {
  /** fsopen(2) and its family: Linux 5.2. */
  readonly mountApi: boolean;
  /** overlayfs takes its lower directories one by one: 6.8. */
  readonly lowerdirAdd: boolean;
  /** overlayfs takes layers on mounts that are attached nowhere: 6.15. Tried at the first such mount. */
  readonly detachedLayers: boolean;
}

let found: KernelFeatures | undefined;

export function kernelFeatures(): KernelFeatures {
  if (found) return found;
  const mountApi = hasMountApi();
  found = { mountApi, lowerdirAdd: mountApi && takesLowerdirAdd(), detachedLayers: mountApi };
  return found;
}

/** Pretends an older kernel for the rest of the process: tests of what mount(2) alone can do. */
export function pretendKernel(features: Partial<KernelFeatures>): void {
  found = { ...kernelFeatures(), ...features };
}

/** Remembers that this kernel refused a layer on a detached mount. */
export function refusesDetachedLayers(): void {
  found = { ...kernelFeatures(), detachedLayers: false };
}

/** Before 6.5 overlayfs takes every parameter, and looks at them when the mount is made: so one is made up. */
function takesLowerdirAdd(): boolean {
  return takesParameter('lowerdir+') && !takesParameter('lowerdir-nonesuch');
}

function takesParameter(key: string): boolean {
  try {
    using context = new FsContext('overlay');
    context.set(key, '/');
    return true;
  } catch (error) {
    if (hasErrno(error, 'EINVAL', 'ENODEV', 'EPERM')) return false;
    throw error;
  }
}
