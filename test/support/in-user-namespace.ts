/** Runs a Node program as root of a new user namespace, with mounts of its own; ids 0 … 65535 are 100000 … outside. */
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { forAllUsers } from './for-all-users.ts';
import type { Requirement } from './requires.ts';

export interface UserNamespaceRun {
  readonly status: number | null;
  readonly output: string;
}

export async function inUserNamespace(program: string, ...args: readonly string[]): Promise<UserNamespaceRun> {
  const { node, place } = forAllUsers;
  using holder = await holdUserNamespace('--mount');
  const enter = ['-t', String(holder.pid), '--user', '--mount', '-S', '0', '-G', '0'];
  return await run('nsenter', [...enter, node, place(program), ...args]);
}

export interface NamespaceHolder extends Disposable {
  readonly pid: number;
}

/** A process in namespaces of its own, its ids mapped, until it is disposed of. */
export async function holdUserNamespace(...namespaces: readonly string[]): Promise<NamespaceHolder> {
  const [first, ...words] = [...forAllUsers.prefix, 'unshare', '--user', ...namespaces] as const;
  const holder = spawn(first, [...words, 'sh', '-c', 'echo there; read end'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(holder, 'exit').then(([status]) => Promise.reject(new Error(`unshare ended with ${status}`)));
  ended.catch(() => undefined);
  await Promise.race([once(holder.stdout, 'data'), ended]);
  const pid = holder.pid as number;
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${pid}/${map}`, '0 100000 65536');
  return { pid, [Symbol.dispose]: () => void holder.stdin.end() };
}

/** Not in a chroot, nor where the administrator allows none. */
export const userNamespaces: Requirement = () =>
  spawnSync('unshare', ['--user', 'true']).status === 0 ? undefined : 'needs user namespaces';

async function run(command: string, args: readonly string[]): Promise<UserNamespaceRun> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args);
    return { status: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as { code?: number; stdout?: string; stderr?: string };
    return { status: code ?? null, output: stdout + stderr };
  }
}

/** Gives a directory to the namespace's root. */
export function giveToNamespace(path: string): void {
  execFileSync('chown', ['-R', '100000:100000', path]);
}
