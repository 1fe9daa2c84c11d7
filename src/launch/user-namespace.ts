/**
 * Containers in a user namespace of their own. Node cannot enter one, having threads: unshare(1) makes it, and the
 * init process starts inside.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { STUB_SOCKET } from '../sys/remote/stub.ts';
import { findProgram } from './programs.ts';
import type { IdRange, UserMapping } from './spec.ts';

/**
 * Its first child is PID 1. The shell outlives it, to tell how it ended as 128+N, which unshare --fork cannot. It
 * closes the socket, whose end says that the program was executed; in the background, standard input would be
 * /dev/null.
 */
const AS_FIRST_CHILD = `exec 9<&0; "$@" <&9 9<&- & exec ${STUB_SOCKET}>&- 9<&-; wait $!; exit $?`;

/**
 * A command that runs `program` in a new user namespace, and with `newPid` as PID 1 of a new PID namespace that
 * belongs to it. The kernel kills all of it with the caller.
 */
export function inNewUserNamespace(newPid: boolean, program: readonly string[]): string[] {
  const unshare = [...dyingWithCaller(), findProgram('unshare'), '--user', '--keep-caps'];
  return newPid ? [...unshare, '--pid', '--', ...asFirstChild(program)] : [...unshare, '--', ...program];
}

/** The same in the caller's user namespace: in a new PID namespace, or the one behind a path. */
export function inPidNamespace(path: string | undefined, program: readonly string[]): string[] {
  const enter =
    path === undefined ? [findProgram('unshare'), '--pid'] : [findProgram('nsenter'), `--pid=${path}`, '-F'];
  return [...dyingWithCaller(), ...enter, '--', ...asFirstChild(program)];
}

function dyingWithCaller(): string[] {
  return [findProgram('setpriv'), '--pdeathsig', 'KILL', '--'];
}

function asFirstChild(program: readonly string[]): string[] {
  return ['/bin/sh', '-c', AS_FIRST_CHILD, 'sh', ...program];
}

/** Whether the caller is root of a user namespace only: the machine's root has all ids, one to one. */
export function inUserNamespace(): boolean {
  const [first, host, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/).map(Number);
  return first !== 0 || host !== 0 || count !== 2 ** 32 - 1;
}

/** A command that runs `program` as root of the user namespace that a process is in. */
export function inUserNamespaceOf(pid: number, program: readonly string[]): string[] {
  return [findProgram('nsenter'), `--user=/proc/${pid}/ns/user`, '-S', '0', '-G', '0', '--', ...program];
}

/** Gives the user namespace of a process its ids: user_namespaces(7). */
export function writeMappings(pid: number, { uids, gids }: UserMapping): void {
  const lines = (ranges: readonly IdRange[]): string =>
    ranges.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
  writeFileSync(`/proc/${pid}/uid_map`, lines(uids));
  writeFileSync(`/proc/${pid}/gid_map`, lines(gids));
}
