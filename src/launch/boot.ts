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
import { hasErrno } from '../sys/libc.ts';
import { moduleUrl } from '../sys/module-url.ts';
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  pidfdGetfd,
  pidfdOpen,
  setns,
  unshare,
} from '../sys/namespaces.ts';
import { LaunchError } from './errors.ts';
import type { StdioTarget } from './launcher.ts';
import { signalProcess, startTimeOf } from './liveness.ts';
import { EARLY, type InitMessage, type InitTask, LENGTH_BYTES, type Placement } from './protocol.ts';
import { inNewUserNamespace, inPidNamespace, inUserNamespace, inUserNamespaceOf } from './user-namespace.ts';

export type Stdio = readonly [StdioTarget, StdioTarget, StdioTarget];

const INIT = fileURLToPath(moduleUrl('./init', import.meta.url));

/** How a process ended, as a shell would tell it. */
export interface Ended {
  /** 128+N when signal N ended it. */
  readonly exitCode: number;
  readonly signal?: string;
}

export function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      if (signal === null) resolve({ exitCode: code ?? 125 });
      else resolve({ exitCode: 128 + constants.signals[signal], signal });
    });
  });
}

export interface BootRequest {
  readonly stdio: Stdio;
  /** It becomes PID 1 of a new PID namespace. */
  readonly newPid: boolean;
  /** The caller's; a new one, whose ids are written before the task is sent; or that of a process. */
  readonly user: 'host' | 'new' | { readonly pid: number };
  /** Namespaces that it is born into. */
  readonly enter: readonly NamespaceFile[];
  /** It may begin with the namespaces that most containers want: UTS, IPC and network, all new. */
  readonly early?: boolean;
}

/** An open /proc/PID/ns file, its path, and its CLONE_NEW* flag. */
export interface NamespaceFile {
  readonly fd: number;
  readonly path: string;
  readonly flag: number;
}

/** An init process: waiting for its task, then the program that it became. */
export class InitProcess implements Disposable {
  /** The process itself, or what started it in its user namespace and ends with it. */
  readonly child: ChildProcess;
  readonly request: BootRequest;
  readonly ended: Promise<Ended>;
  #pid: number;
  #startTime: number | undefined;
  readonly #socket: Socket;
  readonly #fd: number;
  readonly #messages: AsyncIterator<InitMessage>;
  #launched = false;

  constructor(child: ChildProcess, pid: number, socketFd: number, request: BootRequest) {
    this.child = child;
    this.request = request;
    this.#pid = pid;
    this.ended = endOf(child);
    this.#fd = socketFd;
    this.#socket = new Socket({ fd: socketFd, readable: true, writable: true });
    this.#messages = readMessages(this.#socket);
  }

  /** As the host sees it; known for certain from `ready` on. */
  get pid(): number {
    return this.#pid;
  }

  get startTime(): number | undefined {
    return this.#startTime;
  }

  /** Waits until the process lives, and is in its user namespace. */
  async ready(): Promise<void> {
    const { value: message, done } = await this.#messages.next();
    if (done || message.type !== 'ready') throw died(message);
    this.#pid = message.pid;
    this.#startTime = startTimeOf(message.pid);
  }

  /** Hands over the task, with the files that it speaks of. */
  send(task: InitTask, files: readonly number[]): void {
    this.#launched = true;
    this.#sendMessage(task, files);
  }

  /** What follows a container's task. One that has failed meanwhile says so in `started`. */
  place(placement: Placement, members: readonly number[]): void {
    try {
      this.#sendMessage(placement, members);
    } catch (error) {
      if (!hasErrno(error, 'EPIPE', 'ECONNRESET')) throw error;
    }
  }

  /**
   * Waits until the program is executed.
   *
   * @throws LaunchError what the init process could not do; it has ended then.
   */
  async started(hooks: LaunchHooks): Promise<void> {
    let starting = false;
    for (;;) {
      const { value: message, done } = await this.#messages.next();
      if (done) break;
      if (message.type === 'warning') hooks.onWarning(message.message);
      else if (message.type === 'terminal') this.#takeTerminal(message.master, hooks);
      else if (message.type === 'starting') starting = true;
      else if (message.type === 'error') throw died(message);
    }
    this.#socket.destroy();
    if (!starting) throw died(undefined);
  }

  /** False when it is gone. Node's own kill knows no real-time signals, and not what is behind a user namespace. */
  signal(number: number): boolean {
    if (this.#startTime === undefined) return this.child.kill(number);
    return signalProcess(this.#pid, this.#startTime, number);
  }

  #sendMessage(content: InitTask | Placement, files: readonly number[]): void {
    const json = Buffer.from(JSON.stringify(content));
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

function died(message: InitMessage | undefined): LaunchError {
  if (message?.type === 'error') {
    return new LaunchError(message.exitStatus, message.code, message.message, { hint: message.hint });
  }
  return new LaunchError(125, 'FAILED', 'the container was ended while it was being prepared');
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

export function bootInit(request: BootRequest): InitProcess {
  const [program = '', ...args] = commandFor(request);
  // In a session of its own: keys of the caller's terminal reach it by the caller alone.
  const options = { env: {}, detached: true };
  const [mine, theirs] = socketPair();
  try {
    const child = insideNamespaces(request, () =>
      spawn(program, args, { ...options, stdio: [...request.stdio, theirs] }),
    );
    // Reported again by the event, which nobody else listens to.
    child.on('error', () => undefined);
    if (child.pid === undefined) throw new TslayerError('FAILED', `cannot start ${program}`);
    return new InitProcess(child, child.pid, mine, request);
  } catch (error) {
    closeSync(mine);
    throw error;
  } finally {
    closeSync(theirs);
  }
}

function commandFor(request: BootRequest): string[] {
  const { user, newPid, early } = request;
  const node = [process.execPath, '--no-warnings', INIT, ...(early ? [EARLY] : [])];
  if (user === 'new') return inNewUserNamespace(newPid, node);
  if (user !== 'host') return inUserNamespaceOf(user.pid, node);
  return leavesForGood(request) ? inPidNamespace(pidNamespaceOf(request), node) : node;
}

/** Root of a user namespace may leave the PID namespace that it was started in, but not come back. */
function leavesForGood({ user, newPid, enter }: BootRequest): boolean {
  return user === 'host' && (newPid || enter.length > 0) && inUserNamespace();
}

function pidNamespaceOf({ enter }: BootRequest): string | undefined {
  return enter.find(({ flag }) => flag === CLONE_NEWPID)?.path;
}

/** Runs `start` with the calling thread in other namespaces, and brings it back. */
function insideNamespaces<T>(request: BootRequest, start: () => T): T {
  if (leavesForGood(request)) return start();
  const { newPid, user, enter } = request;
  const own: { fd: number; flag: number }[] = [];
  const remember = (file: string, flag: number): void => {
    own.push({ fd: openSync(`/proc/thread-self/ns/${file}`, 'r'), flag });
  };
  try {
    for (const { fd, flag } of enter) {
      remember(NAMESPACE_FILES[flag]!, flag);
      setns(fd, flag);
    }
    // A PID namespace that belongs to a new user namespace is made inside it.
    if (newPid && user !== 'new') {
      remember('pid_for_children', CLONE_NEWPID);
      unshare(CLONE_NEWPID);
    }
    return start();
  } finally {
    for (const { fd, flag } of own.toReversed()) {
      setns(fd, flag);
      closeSync(fd);
    }
  }
}

const NAMESPACE_FILES: Readonly<Record<number, string>> = {
  [CLONE_NEWPID]: 'pid_for_children',
  [CLONE_NEWIPC]: 'ipc',
  [CLONE_NEWUTS]: 'uts',
  [CLONE_NEWNET]: 'net',
};
