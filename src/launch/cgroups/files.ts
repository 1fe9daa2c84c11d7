/** Small reads and writes of cgroup files, and directories that others may remove meanwhile. */
import { existsSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasErrno } from '../../sys/libc.ts';
import { words } from './hierarchies.ts';

/** Undefined when the cgroup, or the kernel, has no such file. */
export function readCgroup(directory: string, file: string): string | undefined {
  try {
    return readFileSync(join(directory, file), 'utf8').trim();
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENODEV', 'EOPNOTSUPP')) return undefined;
    throw error;
  }
}

export function readNumber(directory: string, file: string): number | undefined {
  const text = readCgroup(directory, file);
  return text === undefined || text === '' || text === 'max' ? undefined : Number(text);
}

/** A file of `key value` lines. */
export function readKeys(directory: string, file: string): ReadonlyMap<string, number> {
  const lines = (readCgroup(directory, file) ?? '').split('\n').map(words);
  return new Map(lines.map(([key = '', value]) => [key, Number(value)]));
}

export function writeCgroup(directory: string, file: string, value: string): void {
  writeFileSync(join(directory, file), value);
}

/** Processes in a cgroup and below. */
export function processesIn(directory: string): number[] {
  const own = words(readCgroup(directory, 'cgroup.procs') ?? '').map(Number);
  return [...own, ...childrenOf(directory).flatMap(processesIn)];
}

function childrenOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(directory, entry.name));
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

const PATIENCE_MS = 10_000;

/** Removes a cgroup and what is below it; waits while the kernel still buries the last processes. */
export async function removeCgroup(directory: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return;
      if (!hasErrno(error, 'EBUSY') || Date.now() > deadline) throw error;
    }
    const children = childrenOf(directory);
    for (const child of children) await removeCgroup(child);
    if (children.length === 0) await delay(pause);
  }
}

/** Kills every process in the cgroups, until none is left: a fork may be faster than one look. */
export async function killAll(directories: readonly string[]): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pause = 1; Date.now() < deadline; pause = Math.min(pause * 2, 50)) {
    const alive = new Set(directories.flatMap(processesIn));
    if (alive.size === 0) return;
    for (const directory of directories) {
      if (existsSync(join(directory, 'cgroup.kill'))) writeCgroup(directory, 'cgroup.kill', '1');
    }
    for (const pid of alive) killProcess(pid);
    await delay(pause);
  }
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!hasErrno(error, 'ESRCH')) throw error;
  }
}
