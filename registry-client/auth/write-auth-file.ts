/**
 * Replaces a credential file by a rename. It is written as PATH.PID.UUID, and since it is full of secrets, what a killed
 * writer left goes with the next one's start.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { AuthFile } from './auth-file.ts';

export async function writeAuthFile(path: string, file: AuthFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await sweep(path);
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  try {
    await writeFile(temporary, `${JSON.stringify(file, undefined, 2)}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

const TEMPORARY = /^\.(\d+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function sweep(path: string): Promise<void> {
  const [directory, name] = [dirname(path), basename(path)];
  for (const entry of await readdir(directory)) {
    const pid = entry.startsWith(name) ? TEMPORARY.exec(entry.slice(name.length))?.[1] : undefined;
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(directory, entry), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
