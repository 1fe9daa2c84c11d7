/** Namespaces and the calling thread's view of the file system: unshare(2), setns(2), chroot(2), pidfds. */
import { closeSync, openSync } from 'node:fs';
import { check, cstring, native, type PathLike, rawSyscall } from './libc.ts';

export const CLONE_FS = 0x200;
export const CLONE_NEWTIME = 0x80;
export const CLONE_NEWNS = 0x20000;
export const CLONE_NEWCGROUP = 0x2000000;
export const CLONE_NEWUTS = 0x4000000;
export const CLONE_NEWIPC = 0x8000000;
export const CLONE_NEWUSER = 0x10000000;
export const CLONE_NEWPID = 0x20000000;
export const CLONE_NEWNET = 0x40000000;

/** In /proc/PID/ns: those that a thread can visit. */
const FILES: Readonly<Record<number, string>> = {
  [CLONE_NEWIPC]: 'ipc',
  [CLONE_NEWUTS]: 'uts',
  [CLONE_NEWNET]: 'net',
  [CLONE_NEWCGROUP]: 'cgroup',
};

const cUnshare = native('int', 'unshare', ['int']);
const cSetns = native('int', 'setns', ['int', 'int']);
const cChroot = native('int', 'chroot', ['path']);
const cFchdir = native('int', 'fchdir', ['int']);
const cChdir = native('int', 'chdir', ['path']);
const cUmask = native('int', 'umask', ['uint']);
const sysPidfdOpen = rawSyscall(434, ['int', 'uint']);
const sysPidfdGetfd = rawSyscall(438, ['int', 'int', 'uint']);

/** Gives the calling thread namespaces (CLONE_NEW*), or a file-system context (CLONE_FS), of its own. */
export function unshare(flags: number): void {
  check(cUnshare(flags), 'unshare');
}

/** Moves the calling thread into namespaces: `fd` is a /proc/PID/ns file or a pidfd. */
export function setns(fd: number, flags: number): void {
  check(cSetns(fd, flags), 'setns');
}

/** What `look` finds in the namespace of a file, of this kind (CLONE_NEW*). Synchronous: the thread is there meanwhile. */
export function inNamespace<T>(path: string, flag: number, look: () => T): T {
  const there = openSync(path, 'r');
  try {
    const own = openSync(`/proc/thread-self/ns/${FILES[flag]}`, 'r');
    try {
      setns(there, flag);
      try {
        return look();
      } finally {
        setns(own, flag);
      }
    } finally {
      closeSync(own);
    }
  } finally {
    closeSync(there);
  }
}

/** chroot(2) of the calling thread; call `unshare(CLONE_FS)` first or the whole process follows. */
export function chroot(path: PathLike): void {
  check(cChroot(cstring(path)), 'chroot', path);
}

export function chdir(path: PathLike): void {
  check(cChdir(cstring(path)), 'chdir', path);
}

export function fchdir(fd: number): void {
  check(cFchdir(fd), 'fchdir');
}

/** Sets the umask (the thread's own after `unshare(CLONE_FS)`), returns the former one. */
export function umask(mask: number): number {
  return cUmask(mask);
}

export function pidfdOpen(pid: number): number {
  return check(sysPidfdOpen(pid, 0), 'pidfd_open', String(pid));
}

/** A copy of another process's descriptor. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return check(sysPidfdGetfd(pidfd, fd, 0), 'pidfd_getfd', String(fd));
}
