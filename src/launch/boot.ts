/**
 * Starts the init process as PID 1 of a new PID namespace and as the caller's own child, so that its pid, its
 * signals and its status are the caller's to see.
 *
 * unshare(CLONE_NEWPID) concerns the children of the calling thread; between it and the setns(2) back the process
 * cannot create threads, so nothing there may be asynchronous.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { TslayerError } from '../errors.ts';
import { sendWithFds, socketPair } from '../sys/fd-passing.ts';
import { moduleUrl } from '../sys/module-url.ts';
import { CLONE_NEWPID, pidfdGetfd, pidfdOpen, setns, unshare } from '../sys/namespaces.ts';
import { LaunchError } from './errors.ts';
import type { StdioTarget } from './launcher.ts';
import { type InitMessage, type InitTask, LENGTH_BYTES } from './protocol.ts';

/** The PID namespace of the child: a new one, the caller's, or the one behind an open file. */
export type PidNamespace = 'new' | 'host' | number;

export type Stdio = readonly [StdioTarget, StdioTarget, StdioTarget];

const INIT = fileURLToPath(moduleUrl('./init', import.meta.url));

/** How a process ended, as a shell would tell it. */
export interface Ended {
  /** 128+N when signal N ended it. */
  readonly exitCode: number;
  readonly signal?: string;
}

/** An init process: waiting for its task, then the program that it became. */
export class InitProcess implements Disposable {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<Ended>;
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #messages: AsyncIterator<InitMessage>;
  #launched = false;

  constructor(child: ChildProcess, pid: number, socketFd: number) {
    this.child = child;
    this.pid = pid;
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        if (signal === null) resolve({ exitCode: code ?? 125 });
        else resolve({ exitCode: 128 + constants.signals[signal], signal });
      });
    });
    this.#fd = socketFd;
    this.#socket = new Socket({ fd: socketFd, readable: true, writable: true });
    this.#messages = readMessages(this.#socket);
  }

  /**
   * Hands over the task and waits until the program is executed.
   *
   * @throws LaunchError what the init process could not do; it has ended then.
   */
  async launch(task: InitTask, files: readonly number[], hooks: LaunchHooks): Promise<void> {
    this.#launched = true;
    let starting = false;
    for (;;) {
      const { value: message, done } = await this.#messages.next();
      if (done) break;
      if (message.type === 'ready') this.#send(task, files);
      else if (message.type === 'warning') hooks.onWarning(message.message);
      else if (message.type === 'terminal') this.#takeTerminal(message.master, hooks);
      else if (message.type === 'starting') starting = true;
      else throw new LaunchError(message.exitStatus, message.code, message.message, { hint: message.hint });
    }
    this.#socket.destroy();
    if (!starting) throw new LaunchError(125, 'FAILED', 'the container was ended while it was being prepared');
  }

  #send(task: InitTask, files: readonly number[]): void {
    const json = Buffer.from(JSON.stringify(task));
    const message = Buffer.alloc(LENGTH_BYTES + json.length);
    message.writeUInt32LE(json.length, 0);
    message.set(json, LENGTH_BYTES);
    // The first piece carries the files; what does not fit into the socket at once follows as usual.
    const sent = sendWithFds(this.#fd, message, files);
    if (sent < message.length) this.#socket.write(message.subarray(sent));
  }

  #takeTerminal(master: number, hooks: LaunchHooks): void {
    const pidfd = pidfdOpen(this.pid);
    try {
      hooks.onTerminal(pidfdGetfd(pidfd, master));
    } finally {
      closeSync(pidfd);
    }
    this.#socket.write('\n');
  }

  /** Ends a process that was given no task. */
  [Symbol.dispose](): void {
    if (this.#launched) return;
    this.#socket.destroy();
    this.child.kill('SIGKILL');
  }
}

export interface LaunchHooks {
  readonly onWarning: (message: string) => void;
  /** Takes the descriptor of the terminal's master. */
  readonly onTerminal: (master: number) => void;
}

async function* readMessages(socket: Socket): AsyncGenerator<InitMessage, undefined> {
  let rest = '';
  try {
    for await (const chunk of socket) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) yield JSON.parse(line) as InitMessage;
    }
  } catch {
    // The process is gone with the task unread: an end like any other.
  }
  return undefined;
}

export function bootInit(stdio: Stdio, pidNamespace: PidNamespace): InitProcess {
  const [mine, theirs] = socketPair();
  try {
    const child = inPidNamespace(pidNamespace, () =>
      spawn(process.execPath, ['--no-warnings', INIT], { stdio: [...stdio, theirs], env: {} }),
    );
    // Reported again by the event, which nobody else listens to.
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new TslayerError('FAILED', 'cannot start the init process');
    return new InitProcess(child, child.pid, mine);
  } catch (error) {
    closeSync(mine);
    throw error;
  } finally {
    closeSync(theirs);
  }
}

function inPidNamespace<T>(namespace: PidNamespace, start: () => T): T {
  if (namespace === 'host') return start();
  const own = openSync('/proc/thread-self/ns/pid_for_children', 'r');
  try {
    if (namespace === 'new') unshare(CLONE_NEWPID);
    else setns(namespace, CLONE_NEWPID);
    try {
      return start();
    } finally {
      setns(own, CLONE_NEWPID);
    }
  } finally {
    closeSync(own);
  }
}
