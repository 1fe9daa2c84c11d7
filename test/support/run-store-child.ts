/** Starts store-child.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestStoreOptions } from './test-store.ts';

export type Step =
  | readonly ['pull', string, { readonly unpack?: boolean }?]
  | readonly ['rmi' | 'unpin' | 'stop', string]
  | readonly ['umount', string, { readonly keep?: boolean }?]
  | readonly ['rm', string, { readonly force?: boolean }?]
  /** Image and new name; image and name of the mount; image and name of the pin. */
  | readonly ['tag' | 'mount' | 'pin', string, string]
  /** A file in what is mounted by that name, and its content. */
  | readonly ['write', string, string, string]
  /** What is committed, imported or squashed, and the new image. */
  | readonly ['commit' | 'import' | 'squash' | 'push', string, string]
  /** Image, new base, new image. */
  | readonly ['rebase', string, string, string]
  | readonly ['build', string]
  /** A whole mount or image is read as a tar. */
  | readonly ['export' | 'load', string]
  | readonly ['save', string, 'oci' | 'oci-archive' | 'docker-archive', string]
  /** To the driver of that name. */
  | readonly ['convert', string]
  /** A program, by default `true`, in a container, which is removed at its end or has a name to be removed by. */
  | readonly ['run', string, string?, (readonly string[])?]
  /** The same detached; returns when it runs. */
  | readonly ['start', string, string, readonly string[]]
  /** The program `true` in a running container. */
  | readonly ['exec', string]
  /** Image and directory. */
  | readonly ['bundle', string, string]
  | readonly ['gc', { readonly maxBytes?: number }?]
  /** Registry, and the file in which its credential is. */
  | readonly ['login' | 'logout', string, string]
  /** An image is pushed to an embedded registry over that layout. */
  | readonly ['serve', string, string]
  /** Has the store open until it is killed. */
  | readonly ['idle']
  /** A blob, an unpacked layer and index.json are damaged. */
  | readonly ['damage']
  | readonly ['repair']
  /** Random steps on these images for so many milliseconds. */
  | readonly ['chaos', ChaosOptions];

export interface ChaosOptions {
  readonly milliseconds: number;
  /** To pull. */
  readonly images: readonly string[];
  /** A tar with the program `true`, to import and run. */
  readonly system: string;
  /** A registry that takes pushes. */
  readonly registry: string;
  /** Where archives are saved and loaded: a beginning of paths. */
  readonly place: string;
}

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

/** Hundreds of children read the same modules: what Node compiled of them is kept, which takes two thirds of a start. */
const COMPILED = join(import.meta.dirname, '../../node_modules/.cache/store-children');

export interface ChildOptions {
  /** Writes nothing but what the steps write. */
  readonly traced?: boolean;
}

/** @param wrapper a program and arguments in front: `['strace', '-f']` */
export function startStoreChild(
  task: ChildTask,
  wrapper: readonly string[] = [],
  { traced = false }: ChildOptions = {},
): RunningChild {
  const [program = '', ...args] = [...wrapper, process.execPath, join(import.meta.dirname, 'store-child.ts')];
  const cache = traced ? { NODE_DISABLE_COMPILE_CACHE: '1' } : { NODE_COMPILE_CACHE: COMPILED };
  const env = { ...process.env, ...cache };
  const child = spawn(program, [...args, JSON.stringify(task)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
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
