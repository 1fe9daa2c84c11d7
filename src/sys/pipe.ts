/** Pipes without a name: pipe(7). */
import { fchmodSync, readlinkSync } from 'node:fs';
import { check, hasErrno, native } from './libc.ts';

const cPipe2 = native('int', 'pipe2', ['bytes', 'int']);
const cPoll = native('int', 'poll', ['bytes', 'ulong', 'int']);

const O_CLOEXEC = 0o2000000;
const POLLIN = 1;
const READ_WRITE_BY_ALL = 0o666;

export interface Pipe {
  readonly reader: number;
  readonly writer: number;
}

/** Both ends are close-on-exec, and block. */
export function openPipe(): Pipe {
  const pair = new Int32Array(2);
  check(cPipe2(new Uint8Array(pair.buffer), O_CLOEXEC), 'pipe2');
  return { reader: pair[0]!, writer: pair[1]! };
}

/** Whether something can be read from a pipe or a terminal now. Also what a terminal's kernel worker still holds. */
export function isReadable(fd: number): boolean {
  const pollfd = new Int32Array([fd, POLLIN]);
  check(cPoll(new Uint8Array(pollfd.buffer), 1, 0), 'poll');
  return ((pollfd[1]! >> 16) & POLLIN) !== 0;
}

/**
 * Lets whoever has a pipe open it anew by /dev/stdout, as another user than its maker's, too: images have their logs
 * lead there. Nobody else reaches one: it has no name but /proc/PID/fd/N. What is no such pipe stays as it is.
 */
export function letReopen(fd: number): void {
  if (!readlinkSync(`/proc/self/fd/${fd}`).startsWith('pipe:[')) return;
  try {
    fchmodSync(fd, READ_WRITE_BY_ALL);
  } catch (error) {
    // Of another user's: it is theirs to say.
    if (!hasErrno(error, 'EPERM')) throw error;
  }
}
