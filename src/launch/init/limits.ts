/** Resource limits of a process: setrlimit(2). */
import { hasErrno } from '../../sys/libc.ts';
import { getResourceLimit, RLIM_INFINITY, RLIMITS, setResourceLimit } from '../../sys/process.ts';
import { LaunchError } from '../errors.ts';
import type { Rlimit } from '../spec.ts';
import { warn } from './channel.ts';

const wide = (limit: number): bigint => (limit < 0 ? RLIM_INFINITY : BigInt(limit));
const narrow = (limit: bigint): string => (limit === RLIM_INFINITY ? 'unlimited' : String(limit));

export function setLimits(limits: readonly Rlimit[]): void {
  for (const limit of limits) {
    const resource = RLIMITS[limit.type];
    if (resource === undefined) throw new LaunchError(125, 'INVALID_ARGUMENT', `unknown limit ${limit.type}`);
    setLimit(limit.type, resource, wide(limit.soft), wide(limit.hard));
  }
}

/** Raising the hard limit takes CAP_SYS_RESOURCE: without it the present one is as high as it goes. */
function setLimit(name: string, resource: number, soft: bigint, hard: bigint): void {
  try {
    setResourceLimit(resource, { soft, hard });
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    const { hard: highest } = getResourceLimit(resource);
    const least = (limit: bigint): bigint => (limit < highest ? limit : highest);
    setResourceLimit(resource, { soft: least(soft), hard: least(hard) });
    warn(`the limit ${name} was lowered to ${narrow(highest)}, the most that is allowed here`);
  }
}
