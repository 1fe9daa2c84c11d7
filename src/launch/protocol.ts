/**
 * What a launcher and the init process say to each other over a socket: the task once (and for a container its
 * placement), as a length and JSON, with open files beside it; the answers as lines of JSON. The socket closes when the program is
 * executed; an end without `starting` before it means that init died.
 */

import type { ErrorCode } from '../errors.ts';
import type { WindowSize } from '../sys/pty.ts';
import type { LaunchStatus } from './errors.ts';
import type { ContainerSpec, ProcessSpec } from './spec.ts';

/** The socket's descriptor in the init process. */
export const CHANNEL_FD = 3;
/** An argument of the init process: it may begin with what most containers want. */
export const EARLY = 'early';
/** Bytes before the JSON: its length, little endian. */
export const LENGTH_BYTES = 4;

/** What starting any program needs, in a new container or in a running one. */
export interface ProgramTask {
  readonly process: ProcessSpec;
  /** A compiled filter, base64. */
  readonly filter?: string;
  readonly windowSize?: WindowSize;
}

export interface ContainerTask extends ProgramTask {
  readonly task: 'container';
  readonly spec: Omit<ContainerSpec, 'process'>;
  /** An empty directory where the rootfs is put together, in the init's own mount namespace. */
  readonly rootfsDirectory: string;
  /** Image files of the rootfs that are mounted already lie here. */
  readonly stages?: string;
  /** Holds the generated files: hosts, hostname, resolv.conf. */
  readonly filesDirectory: string;
  /**
   * How many detached mounts came first with the message: none, or the finished rootfs and each bind of
   * `spec.mounts`, in order. A user namespace's root can neither make the one nor reach the sources of the others.
   */
  readonly passedMounts: number;
}

/**
 * Follows a container's task, whose mounts are being made while the cgroups are. With it come open cgroup files: the
 * process writes `0` to each as the last thing before it gives up its privileges.
 */
export interface Placement {
  /** To be bound below /sys/fs/cgroup. No name: the only one, of version 2. */
  readonly cgroups: readonly { readonly name?: string; readonly directory: string }[];
}

export interface ExecTask extends ProgramTask {
  readonly task: 'exec';
  /** CLONE_NEW* of the namespace files that came first with the message, in order; cgroup files follow, as above. */
  readonly join: readonly number[];
}

export type InitTask = ContainerTask | ExecTask;

export type InitMessage =
  /** It lives, under this pid for the host. */
  | { readonly type: 'ready'; readonly pid: number }
  | { readonly type: 'warning'; readonly message: string }
  /** The terminal's master is this descriptor of the init process; take it and answer with one byte. */
  | { readonly type: 'terminal'; readonly master: number }
  | { readonly type: 'starting' }
  | {
      readonly type: 'error';
      readonly exitStatus: LaunchStatus;
      readonly code: ErrorCode;
      readonly message: string;
      readonly hint?: string | undefined;
    };
