/** Resource limits of a process: setrlimit(2). */
import { hasErrno } from '../../sys/libc.ts';
import { RLIM_INFINITY, RLIMITS } from '../../sys/process.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import type { Rlimit } from '../spec.ts';

const wide = (limit: number): bigint => (limit < 0 ? RLIM_INFINITY : BigInt(limit));
const narrow = (limit: bigint): string => (limit === RLIM_INFINITY ? 'unlimited' : String(limit));

export function setLimits(init: RemoteProcess, limits: readonly Rlimit[], warn: (message: string) => void): void {
  for (const limit of limits) {
    const resource = RLIMITS[limit.type];
    if (resource === undefined) throw new LaunchError(125, 'INVALID_ARGUMENT', `unknown limit ${limit.type}`);
    const [soft, hard] = [wide(limit.soft), wide(limit.hard)];
    const highest = setLimit(init, resource, soft, hard);
    if (highest === undefined) continue;
    warn(`the limit ${limit.type} was lowered to ${narrow(highest)}, the most that is allowed here`);
  }
}

/** Raising the hard limit takes CAP_SYS_RESOURCE: without it the present one, which is returned, is as high as it goes. */
function setLimit(init: RemoteProcess, resource: number, soft: bigint, hard: bigint): bigint | undefined {
  try {
    init.setResourceLimit(resource, { soft, hard });
    return undefined;
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    const { hard: highest } = init.getResourceLimit(resource);
    const least = (limit: bigint): bigint => (limit < highest ? limit : highest);
    init.setResourceLimit(resource, { soft: least(soft), hard: least(hard) });
    return highest;
  }
}
