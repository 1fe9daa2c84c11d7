/** What a process is: its ids, limits and signals. What another process becomes is told to it in remote/. */
import { check, native, rawSyscall } from './libc.ts';

const cSetfsuid = native('int', 'setfsuid', ['uint']);
const cSetfsgid = native('int', 'setfsgid', ['uint']);
const sysPidfdSendSignal = rawSyscall(424, ['int', 'int', 'bytes', 'uint']);

/** The ids that the calling thread shows to file systems. The kernel reports no failure here. */
export function setFsIds(uid: number, gid: number): void {
  cSetfsgid(gid);
  cSetfsuid(uid);
}

export interface ResourceLimit {
  /** RLIM_INFINITY is 2^64 - 1. */
  readonly soft: bigint;
  readonly hard: bigint;
}

export const RLIM_INFINITY: bigint = (1n << 64n) - 1n;

/** The kernel's numbers; the same on x64 and arm64. */
export const RLIMITS: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
};

/** A signal to the very process that a pidfd was opened for, whatever became of its number. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  check(sysPidfdSendSignal(pidfd, signal, null, 0), 'pidfd_send_signal');
}
