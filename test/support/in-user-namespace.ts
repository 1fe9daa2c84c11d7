/** Runs a Node program as root of a new user namespace, with mounts of its own; ids 0 … 65535 are 100000 … outside. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { promisify } from 'node:util';

export interface UserNamespaceRun {
  readonly status: number | null;
  readonly output: string;
}

export async function inUserNamespace(program: string, ...args: readonly string[]): Promise<UserNamespaceRun> {
  const holder = spawn('unshare', ['--user', '--mount', 'sh', '-c', 'echo there; read end'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  try {
    await once(holder.stdout, 'data');
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${holder.pid}/${map}`, '0 100000 65536');
    const enter = ['-t', String(holder.pid), '--user', '--mount', '-S', '0', '-G', '0'];
    return await run('nsenter', [...enter, process.execPath, program, ...args]);
  } finally {
    holder.stdin.end();
  }
}

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
