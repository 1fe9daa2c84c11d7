/** Whether a process is still the one that was meant: pids are used again, start times are not. */
import { closeSync, readFileSync } from 'node:fs';
import { hasErrno } from '../sys/libc.ts';
import { pidfdOpen } from '../sys/namespaces.ts';
import { pidfdSendSignal } from '../sys/process.ts';

const START_TIME_FIELD = 22;

/** Clock ticks between boot and the process's start; undefined when there is none. proc_pid_stat(5). */
export function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the name in parentheses, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(fields[START_TIME_FIELD - 3]);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/**
 * A pidfd of the process with this pid and start time, for as long as `use` runs. Undefined when it is gone.
 * The start time is read after the pidfd is open: then both are of the same process.
 */
export function withProcess<T>(pid: number, startTime: number, use: (pidfd: number) => T): T | undefined {
  let pidfd: number;
  try {
    pidfd = pidfdOpen(pid);
  } catch (error) {
    if (hasErrno(error, 'ESRCH')) return undefined;
    throw error;
  }
  try {
    return startTimeOf(pid) === startTime ? use(pidfd) : undefined;
  } finally {
    closeSync(pidfd);
  }
}

/** False when the process is gone. */
export function signalProcess(pid: number, startTime: number, signal: number): boolean {
  const sent = withProcess(pid, startTime, (pidfd) => {
    try {
      pidfdSendSignal(pidfd, signal);
      return true;
    } catch (error) {
      if (hasErrno(error, 'ESRCH')) return false;
      throw error;
    }
  });
  return sent ?? false;
}
