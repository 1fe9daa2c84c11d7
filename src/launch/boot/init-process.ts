/** The init process, while it is a stub that does what it is told (sys/remote/), and as the program that it becomes. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { asTslayerError } from '../../errors.ts';
import { pidfdGetfd, pidfdOpen } from '../../sys/namespaces.ts';
import { ProcessGone } from '../../sys/remote/calls.ts';
import { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import { signalProcess, startTimeOf } from '../liveness.ts';
import type { Child } from '../supervise.ts';
import type { Ended } from './ended.ts';

/** The stub's process. */
export interface Started {
  readonly child: Child;
  readonly pid: number;
  readonly ended: Promise<Ended>;
}

/** An init process: it waits to be told what to do, then is the program that it became. */
export class InitProcess implements Disposable {
  /** The process itself, or what started it in its user namespace and ends with it. */
  readonly child: Child;
  readonly ended: Promise<Ended>;
  readonly #remote: RemoteProcess;
  #pid: number;
  #startTime: number | undefined;
  #done = false;

  /** @param socket to the process; closed when it has become a program, or is not wanted any more */
  constructor({ child, pid, ended }: Started, socket: number) {
    this.child = child;
    this.#pid = pid;
    this.ended = ended;
    this.#remote = new RemoteProcess(socket);
  }

  /** As the host sees it; known for certain from `ready` on. */
  get pid(): number {
    return this.#pid;
  }

  get startTime(): number | undefined {
    return this.#startTime;
  }

  /** Waits until the process lives, and is in its user namespace. From then on our death is its own. */
  ready(): void {
    this.perform((remote) => {
      remote.setParentDeathSignal(constants.signals.SIGKILL);
      remote.setsid();
      // The host's /proc, still: its link names the process as the host does.
      this.#pid = Number(remote.readlink('/proc/self'));
      this.#startTime = startTimeOf(this.#pid);
    });
  }

  /** Makes it a program. @throws LaunchError what kept it from that; it is of no use then */
  become(prepare: (remote: RemoteProcess) => void): void {
    this.perform(prepare);
    this.#close();
  }

  /** A copy of one of its descriptors. */
  descriptor(number: number): number {
    const pidfd = pidfdOpen(this.pid);
    try {
      return pidfdGetfd(pidfd, number);
    } finally {
      closeSync(pidfd);
    }
  }

  /** False when it is gone. Node's own kill knows no real-time signals, and not what is behind a user namespace. */
  signal(number: number): boolean {
    if (this.#startTime === undefined) return this.child.kill(number);
    return signalProcess(this.#pid, this.#startTime, number);
  }

  /** Has it do something on the way. @throws LaunchError; it is of no use then */
  perform(work: (remote: RemoteProcess) => void): void {
    try {
      work(this.#remote);
    } catch (error) {
      this[Symbol.dispose]();
      throw asLaunchError(error);
    }
  }

  #close(): void {
    this.#done = true;
    this.#remote[Symbol.dispose]();
  }

  /** Ends a process that has not become a program. */
  [Symbol.dispose](): void {
    if (this.#done) return;
    this.#close();
    this.child.kill('SIGKILL');
  }
}

function asLaunchError(error: unknown): LaunchError {
  if (error instanceof LaunchError) return error;
  if (error instanceof ProcessGone) {
    return new LaunchError(125, 'FAILED', 'the container was ended while it was being prepared');
  }
  const { code, message, hint } = asTslayerError(error);
  return new LaunchError(125, code, message, { hint, cause: error });
}
