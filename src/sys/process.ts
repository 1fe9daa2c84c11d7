/**
 * What a process is: its program, session, ids, limits and flags. Ids are set by raw system calls, since the C
 * library's wrappers would change every thread (by signals that a process about to exec cannot serve).
 */
import { check, cstring, native, type PathLike, rawSyscall } from './libc.ts';
import { stringArray } from './memory.ts';

const cExecve = native('int', 'execve', ['path', 'bytes', 'bytes']);
const cExecveat = native('int', 'execveat', ['int', 'path', 'bytes', 'bytes', 'int']);
const cPrctl = native('int', 'prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
const cSetsid = native('int', 'setsid', []);
const cSignal = native('long', 'signal', ['int', 'long']);
const cSigprocmask = native('int', 'sigprocmask', ['int', 'bytes', 'bytes']);
const cPrlimit = native('int', 'prlimit', ['int', 'int', 'bytes', 'bytes']);
const cSyscallIds = native('long', 'syscall', ['long', 'ulong', 'ulong', 'ulong']);
const cSyscallGroups = native('long', 'syscall', ['long', 'ulong', 'bytes']);
const cSetfsuid = native('int', 'setfsuid', ['uint']);
const cSetfsgid = native('int', 'setfsgid', ['uint']);
const sysCloseRange = rawSyscall(436, ['uint', 'uint', 'uint']);
const sysPidfdSendSignal = rawSyscall(424, ['int', 'int', 'bytes', 'uint']);
const cFcntl = native('int', 'fcntl', ['int', 'int', 'long']);

const X64 = process.arch === 'x64';
const NR_SETRESUID = X64 ? 117 : 147;
const NR_SETRESGID = X64 ? 119 : 149;
const NR_SETGROUPS = X64 ? 116 : 159;

const PR_SET_PDEATHSIG = 1;
const PR_SET_DUMPABLE = 4;
const PR_SET_KEEPCAPS = 8;
const PR_SET_CHILD_SUBREAPER = 36;
const PR_SET_NO_NEW_PRIVS = 38;
const AT_EMPTY_PATH = 0x1000;
const CLOSE_RANGE_CLOEXEC = 4;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const SIGNALS = 64;
const SIG_SETMASK = 2;
/** sigset_t. */
const ALL_SIGNALS: Uint8Array = new Uint8Array(128).fill(0xff);

/** execve(2). Returns only by throwing. */
export function execve(path: PathLike, args: readonly string[], env: readonly string[]): never {
  check(cExecve(cstring(path), stringArray(args), stringArray(env)), 'execve', path);
  throw new Error('execve returned');
}

/** execve(2) of an open file, which need not have a name here. */
export function fexecve(fd: number, args: readonly string[], env: readonly string[]): never {
  check(cExecveat(fd, cstring(''), stringArray(args), stringArray(env), AT_EMPTY_PATH), 'execveat');
  throw new Error('execveat returned');
}

function prctl(option: number, value: number, name: string): void {
  check(cPrctl(option, value, 0, 0, 0), `prctl ${name}`);
}

/** The signal that the kernel sends when the parent (the thread that forked this process) ends. */
export function setParentDeathSignal(signal: number): void {
  prctl(PR_SET_PDEATHSIG, signal, 'PDEATHSIG');
}

/** Not dumpable: no core, and /proc/PID (its exe, fds, memory) opens for no one without CAP_SYS_PTRACE. */
export function setDumpable(dumpable: boolean): void {
  prctl(PR_SET_DUMPABLE, dumpable ? 1 : 0, 'DUMPABLE');
}

/** Whether permitted capabilities outlive a change of ids away from root. */
export function setKeepCapabilities(keep: boolean): void {
  prctl(PR_SET_KEEPCAPS, keep ? 1 : 0, 'KEEPCAPS');
}

/** From here on, setuid bits and file capabilities give nothing. Cannot be undone. */
export function setNoNewPrivileges(): void {
  prctl(PR_SET_NO_NEW_PRIVS, 1, 'NO_NEW_PRIVS');
}

/** Orphans below this process become its children. */
export function setChildSubreaper(): void {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 'CHILD_SUBREAPER');
}

/** Starts a session without a controlling terminal. A process that leads a group already is left as it is. */
export function setsid(): void {
  cSetsid();
}

/** Default disposition for every signal; those that were ignored (SIGPIPE in Node) would stay so over execve. */
export function resetSignals(): void {
  for (let signal = 1; signal <= SIGNALS; signal++) cSignal(signal, 0);
}

/** Keeps every signal waiting until the program that comes next asks for it, or lets it in. */
export function blockSignals(): void {
  check(cSigprocmask(SIG_SETMASK, ALL_SIGNALS, null), 'sigprocmask');
}

/** Real, effective and saved ids of the calling thread, supplementary groups first. */
export function setIds(uid: number, gid: number, groups: readonly number[]): void {
  const list = new Uint32Array(groups);
  check(cSyscallGroups(NR_SETGROUPS, list.length, new Uint8Array(list.buffer)), 'setgroups');
  check(cSyscallIds(NR_SETRESGID, gid, gid, gid), 'setresgid');
  check(cSyscallIds(NR_SETRESUID, uid, uid, uid), 'setresuid');
}

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

export function getResourceLimit(resource: number): ResourceLimit {
  const old = new BigUint64Array(2);
  check(cPrlimit(0, resource, null, new Uint8Array(old.buffer)), 'prlimit');
  return { soft: old[0]!, hard: old[1]! };
}

export function setResourceLimit(resource: number, limit: ResourceLimit): void {
  const packed = new BigUint64Array([limit.soft, limit.hard]);
  check(cPrlimit(0, resource, new Uint8Array(packed.buffer), null), 'prlimit');
}

/** Closes every descriptor from `first` on when the program is executed, whoever opened it (CVE-2024-21626). */
export function closeOnExecFrom(first: number): void {
  check(sysCloseRange(first, 0xffffffff, CLOSE_RANGE_CLOEXEC), 'close_range');
}

export function setCloseOnExec(fd: number, close: boolean): void {
  check(cFcntl(fd, F_SETFD, close ? FD_CLOEXEC : 0), 'fcntl');
}

/** A signal to the very process that a pidfd was opened for, whatever became of its number. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  check(sysPidfdSendSignal(pidfd, signal, null, 0), 'pidfd_send_signal');
}
