/** Sets what new namespaces have of their own, as long as the host's /proc is there to reach it by: sysctl(5). */
import { O_WRONLY } from '../../sys/at.ts';
import { SystemCallError } from '../../sys/libc.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import { sysctlPath } from '../options/sysctls.ts';
import type { SysctlSpec } from '../spec.ts';

export function setSysctls(init: RemoteProcess, sysctls: readonly SysctlSpec[]): void {
  for (const sysctl of sysctls) {
    try {
      setOne(init, sysctl);
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      if (sysctl.optional) continue;
      const { key, value } = sysctl;
      throw new LaunchError(125, 'INVALID_ARGUMENT', `cannot set ${key} to ${JSON.stringify(value)}: ${error.message}`);
    }
  }
}

function setOne(init: RemoteProcess, { key, value }: SysctlSpec): void {
  const file = init.open(`/proc/sys/${sysctlPath(key)}`, O_WRONLY);
  try {
    init.write(file, value);
  } finally {
    init.close(file);
  }
}
