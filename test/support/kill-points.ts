/**
 * Kills a process at each system call by which it changes something. The calls are found by tracing an undisturbed
 * run; strace(1) then sends SIGKILL at the entry of the Nth one, before the kernel acts on it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ChildTask, startStoreChild } from './run-store-child.ts';
import { tempDir } from './temp-dir.ts';

const WRITING =
  'write,writev,pwrite64,pwritev,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,' +
  'fallocate,fsync,fdatasync,syncfs,symlinkat,mknod,mknodat,fchmod,fchmodat,fchown,fchownat,lsetxattr,utimensat,' +
  'mount,umount2,move_mount,fsmount,flock';

export interface KillPoint {
  readonly call: string;
  /** Counted for each thread by itself, from one. */
  readonly nth: number;
}

/** Every point of a run: the calls of whichever thread makes most of each kind. */
export async function findKillPoints(task: ChildTask): Promise<KillPoint[]> {
  using directory = tempDir('strace');
  const log = join(directory.path, 'log');
  const wrapper = ['strace', '-f', '--seccomp-bpf', '-qq', '-e', `trace=${WRITING}`, '-o', log];
  await startStoreChild(task, wrapper, { traced: true }).result;
  const counts = new Map<string, number>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (thread !== undefined) counts.set(`${call} ${thread}`, (counts.get(`${call} ${thread}`) ?? 0) + 1);
  }
  const most = new Map<string, number>();
  for (const [key, count] of counts) {
    const [call = ''] = key.split(' ');
    most.set(call, Math.max(count, most.get(call) ?? 0));
  }
  return [...most].flatMap(([call, count]) => Array.from({ length: count }, (_, i) => ({ call, nth: i + 1 })));
}

/** Runs the task until that call; true when it was killed there, false when it never came so far. */
export async function killAt(task: ChildTask, { call, nth }: KillPoint): Promise<boolean> {
  const inject = `inject=${call}:signal=SIGKILL:when=${nth}`;
  // Without --seccomp-bpf, under which strace delivers no signals.
  const wrapper = ['strace', '-f', '-qq', '-e', `trace=${call}`, '-e', inject, '-o', '/dev/null'];
  return startStoreChild(task, wrapper).result.then(
    () => false,
    () => true,
  );
}
