/** Whether overlayfs works for a store, and what of it the kernel has. */
import { existsSync } from 'node:fs';
import { kernelFeatures } from '../../src/mounts/kernel.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { FsContext } from '../../src/sys/mount-api.ts';
import type { Probe } from '../driver.ts';
import { FEATURE_OPTIONS, MAX_LOWER } from '../overlay/options.ts';
import { inUserNamespace, whyNoUpper, worksVolatile } from '../overlay/upper.ts';

export async function probeOverlay(directory: string): Promise<Probe> {
  const problem = whyNoUpper(directory);
  if (problem !== undefined) return { available: false, reason: problem, features: {} };
  return { available: true, reason: 'the kernel merges directories here', features: features(directory) };
}

/** What the kernel has, and what of it is used. */
function features(directory: string): Probe['features'] {
  const { mountApi, lowerdirAdd } = kernelFeatures();
  const chosen = FEATURE_OPTIONS.map((option) => option.split('=') as [string, string]);
  return {
    'mount API': mountApi,
    'lowerdir+': lowerdirAdd,
    'maximum layers': MAX_LOWER,
    ...Object.fromEntries(chosen),
    ...Object.fromEntries(chosen.map(([key]) => [`kernel has ${key}`, takes(`${key}=on`)])),
    volatile: takes('volatile') && worksVolatile(directory),
    userxattr: inUserNamespace(),
  };
}

/** Module parameters that are not called as the option is. */
const PARAMETERS: Readonly<Record<string, string>> = { xino: 'xino_auto' };

/** Whether the option is known at all. */
function takes(option: string): boolean {
  const [key = '', value] = option.split('=');
  if (!kernelFeatures().lowerdirAdd) return existsSync(`/sys/module/overlay/parameters/${PARAMETERS[key] ?? key}`);
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
