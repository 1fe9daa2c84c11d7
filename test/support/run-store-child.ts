/** Starts store-child.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestStoreOptions } from './test-store.ts';

export type Step =
  | readonly ['pull', string, { readonly unpack?: boolean }?]
  | readonly ['rmi' | 'umount', string]
  | readonly ['tag' | 'mount', string, string]
  | readonly ['gc']
  /** Random steps on these images for so many milliseconds. */
  | readonly ['chaos', readonly string[], number];

export interface ChildTask {
  readonly store: TestStoreOptions;
  readonly steps: readonly Step[];
}

export interface RunningChild {
  readonly process: ChildProcess;
  /** Its result; rejects with what it wrote to standard error. */
  readonly result: Promise<unknown>;
  /** Resolves when the store is open. */
  readonly open: Promise<void>;
}

/** @param wrapper a program and arguments in front: `['strace', '-f']` */
export function startStoreChild(task: ChildTask, wrapper: readonly string[] = []): RunningChild {
  const [program = '', ...args] = [...wrapper, process.execPath, join(import.meta.dirname, 'store-child.ts')];
  const child = spawn(program, [...args, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const opened = Promise.withResolvers<void>();
  child.stderr.once('data', () => opened.resolve());
  child.once('close', () => opened.resolve());
  const result = (async () => {
    const closed = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
      child.once('close', (code, signal) => resolve([code, signal]));
    });
    const [output, errors, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    if (code !== 0) throw new Error(`${signal ?? code}: ${errors}`);
    return JSON.parse(output) as unknown;
  })();
  result.catch(() => undefined);
  return { process: child, result, open: opened.promise };
}
