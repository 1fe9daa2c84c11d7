/**
 * The launcher: turns a ContainerSpec into running processes and knows what became of them. No daemon stands behind
 * it: a foreground container is a child of the caller and dies with it; a detached one, and one with a terminal,
 * is the child of a small watcher process. State lies on disk, and liveness is a lock that the kernel releases when
 * its holder dies, so that what is told is true after any of them was killed.
 */

import type { HierarchyView } from './cgroups/view.ts';
import type { ExecOptions } from './run-options.ts';
import type { ContainerSpec } from './spec.ts';
import type { ContainerStats } from './stats.ts';

export type ContainerStatus = 'created' | 'running' | 'paused' | 'exited';

export interface ContainerState {
  readonly status: ContainerStatus;
  /** Of the container's first process, as the host sees it. */
  readonly pid?: number;
  /** 128+N when signal N ended it; 125 when the launcher failed. */
  readonly exitCode?: number;
  /** As in `SIGKILL`. */
  readonly signal?: string;
  readonly oomKilled?: boolean;
  /** Why there is no exit status of the program: it could not be started, or its watcher died. */
  readonly error?: string;
  /** ISO 8601. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

export interface Container {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly spec: ContainerSpec;
  readonly state: ContainerState;
  /** Namespace ids by kind, as in `net: net:[4026531840]`; while it runs. */
  readonly namespaces?: Readonly<Record<string, string>>;
  /** Its cgroup in each hierarchy, by absolute path; while it runs. */
  readonly cgroups?: readonly string[];
}

export interface ExitResult {
  /** The program's own; 128+N when signal N ended it. */
  readonly exitCode: number;
  readonly signal?: string;
  /** The kernel killed something in the container because its memory limit was reached. */
  readonly oomKilled: boolean;
  /** The caller left with the detach keys, and the container goes on. `exitCode` is 0 then. */
  readonly detached?: true;
}

/** Descriptors or streams, as child_process takes them. */
export type StdioTarget = 'inherit' | 'ignore' | 'pipe' | number;

export interface ForegroundIO {
  /** Default: all of them inherited. Not used for a terminal. */
  readonly stdio?: readonly [StdioTarget, StdioTarget, StdioTarget];
  /** Aborting kills the container. */
  readonly signal?: AbortSignal | undefined;
  /** Lines for the user that are no error, as `nofile: lowered to 20000`. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

export interface RunLifetime {
  /** Whether the container is to be found again after the end of the machine. Default false. */
  readonly durable?: boolean;
}

/** `process.stdin`, or another open terminal. */
export type TerminalInput = NodeJS.ReadStream & { readonly fd: number };

/** Where a terminal session goes: the caller's own terminal by default. */
export interface TerminalIO {
  readonly stdin?: TerminalInput | undefined;
  readonly stdout?: NodeJS.WriteStream | undefined;
  /** As in `ctrl-p,ctrl-q`, which is the default; `''` for none. Of no meaning to `execTerminal`. */
  readonly detachKeys?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** A container, or a further process in one, that the caller holds. */
export interface RunningProcess {
  readonly pid: number;
  /** Present where stdio said `pipe`. */
  readonly stdin: NodeJS.WritableStream | null;
  readonly stdout: NodeJS.ReadableStream | null;
  readonly stderr: NodeJS.ReadableStream | null;
  /** As kill(2) to the first process. */
  kill(signal: string): void;
  /** Settles after everything was cleaned up: cgroups, mounts, state. */
  readonly exited: Promise<ExitResult>;
}

export interface LogEntry {
  readonly time: Date;
  readonly stream: 'stdout' | 'stderr';
  readonly data: Uint8Array;
}

export interface LogOptions {
  readonly follow?: boolean;
  /** Only the last lines. */
  readonly tail?: number;
  readonly since?: Date;
  readonly signal?: AbortSignal | undefined;
}

export interface StatsOptions {
  /** Milliseconds; 1000. */
  readonly interval?: number;
  /** One sample after one interval. */
  readonly once?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface StopOptions {
  readonly signal?: string;
  readonly timeoutSeconds?: number;
}

/** Containers are named by name, id, or unique beginning of an id. NOT_FOUND when there is none. */
export interface Launcher {
  /**
   * Runs a container as the caller's child. Errors come before the program starts: with `exitStatusOf` they are
   * docker's 125, 126 and 127.
   */
  run(spec: ContainerSpec, io?: ForegroundIO, options?: RunLifetime): Promise<RunningProcess>;
  /** Runs it with a terminal (`-it`) under a watcher, and attaches to it. */
  runTerminal(spec: ContainerSpec, io?: TerminalIO): Promise<ExitResult>;
  /** Runs it detached, under a watcher. Returns when the program has started. */
  start(spec: ContainerSpec, options?: { readonly onWarning?: (message: string) => void }): Promise<Container>;
  /** Joins a detached container's terminal or output. */
  attach(name: string, io?: TerminalIO): Promise<ExitResult>;
  exec(name: string, options: ExecOptions, io?: ForegroundIO): Promise<RunningProcess>;
  execTerminal(name: string, options: ExecOptions, io?: TerminalIO): Promise<ExitResult>;

  list(): Promise<readonly Container[]>;
  inspect(name: string): Promise<Container>;
  /** Sends a signal: `TERM`, `SIGTERM` or `15`. */
  kill(name: string, signal: string): Promise<void>;
  /** The stop signal, then SIGKILL after the timeout. A container that is not running is left as it is. */
  stop(name: string, options?: StopOptions): Promise<void>;
  pause(name: string): Promise<void>;
  unpause(name: string): Promise<void>;
  wait(name: string, signal?: AbortSignal): Promise<ExitResult>;
  logs(name: string, options?: LogOptions): AsyncIterable<LogEntry>;
  /** Removes state and log. IN_USE while it runs, unless forced. The snapshot is the caller's to remove. */
  remove(name: string, options?: { readonly force?: boolean }): Promise<Container>;
  /** What a crash left of one that was not whole yet, or half removed. IN_USE when it is a container. */
  clear(id: string): Promise<void>;
  /** Samples of the named containers, or of all that run, until the signal. */
  stats(names: readonly string[], options?: StatsOptions): AsyncIterable<readonly ContainerStats[]>;
  /** The cgroup hierarchies, the subsystems attached to each, and the containers in them. */
  hierarchies(): Promise<readonly HierarchyView[]>;
}
