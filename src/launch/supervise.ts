/** Runs one container from its spec to its end: what a foreground `run` and a watcher have in common. */
import type { Readable, Writable } from 'node:stream';
import type { FileLock } from '../sys/locks.ts';
import type { Ended } from './boot/ended.ts';
import type { ContainerStore, StoredState } from './container-store.ts';
import type { ExitResult } from './launcher.ts';
import { startTimeOf } from './liveness.ts';
import type { ContainerSpec } from './spec.ts';

/** A child of this process; Node's own, or one of `spawnProcess`. */
export interface Child {
  /** Present where stdio said `pipe`. */
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** False when it is gone. */
  kill(signal: NodeJS.Signals | number): boolean;
}

/** The container's first process. */
export interface Program {
  readonly child: Child;
  /** As the host sees it. */
  readonly pid: number;
  readonly startTime: number | undefined;
  readonly ended: Promise<Ended>;
  /** False when it is gone. */
  signal(number: number): boolean;
}

/** What carries a container: the built-in launcher, or another runtime. */
export interface Carrier {
  /** Resolves when the program runs. */
  start(): Promise<Program>;
  /** Ends and removes what is left of it, after its end as after a start that failed. */
  bury(): Promise<{ readonly oomKilled: boolean }>;
}

export interface SuperviseOptions {
  readonly store: ContainerStore;
  readonly spec: ContainerSpec;
  /** The container's own, from ContainerStore.add; released at its end. */
  readonly lock: FileLock;
  readonly carrier: Carrier;
  /** Whether its end must be known after the machine's. */
  readonly durable: boolean;
}

export interface Supervised {
  readonly program: Program;
  /** Settles when it has ended and everything of it is gone but its state and log. */
  readonly exited: Promise<ExitResult>;
}

/** Resolves when the program runs. After a failure nothing of the container is left. */
export async function supervise(options: SuperviseOptions): Promise<Supervised> {
  const { store, spec, lock, carrier, durable } = options;
  let program: Program;
  try {
    program = await carrier.start();
  } catch (error) {
    await carrier.bury();
    store.remove(spec.id);
    lock[Symbol.dispose]();
    throw error;
  }
  const startedAt = new Date().toISOString();
  store.writeState(spec.id, { status: 'running', ...identityOf(program), startedAt });
  const finish = async (): Promise<ExitResult> => {
    const ended = await program.ended;
    const result: ExitResult = { ...ended, ...(await carrier.bury()) };
    const finishedAt = new Date().toISOString();
    store.writeState(spec.id, { status: 'exited', ...result, startedAt, finishedAt }, durable);
    lock[Symbol.dispose]();
    return result;
  };
  return { program, exited: finish() };
}

function identityOf({ pid, startTime }: Program): Pick<StoredState, 'pid' | 'startTime' | 'watcher'> {
  const watcher = { pid: process.pid, startTime: startTimeOf(process.pid) };
  return { pid, ...(startTime !== undefined && { startTime }), watcher };
}
