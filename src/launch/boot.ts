/**
 * Starts the init process as PID 1 of a new PID namespace and as the caller's own child, so that its pid, its
 * signals and its status are the caller's to see. It is a stub (sys/remote/stub.ts) that does what it is told until
 * it becomes the container's program.
 *
 * unshare(CLONE_NEWPID) concerns the children of the calling thread; between it and the setns(2) back the process
 * cannot create threads, so nothing there may be asynchronous.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { asTslayerError, TslayerError } from '../errors.ts';
import { socketPair } from '../sys/fd-passing.ts';
import { executableInMemory } from '../sys/memfd.ts';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  pidfdGetfd,
  pidfdOpen,
  setns,
  unshare,
} from '../sys/namespaces.ts';
import { ProcessGone } from '../sys/remote/calls.ts';
import { RemoteProcess } from '../sys/remote/process.ts';
import { STUB_SOCKET, stubProgram } from '../sys/remote/stub.ts';
import { spawnProcess, type WaitStatus } from '../sys/spawn.ts';
import { LaunchError } from './errors.ts';
import { signalProcess, startTimeOf } from './liveness.ts';
import { ProgramStreams, type Stdio } from './streams.ts';
import type { Child } from './supervise.ts';
import { inNewUserNamespace, inPidNamespace, inUserNamespace, inUserNamespaceOf } from './user-namespace.ts';

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
  /** The caller's; a new one, whose ids are written when the process is ready; or that of a process. */
  readonly user: 'host' | 'new' | { readonly pid: number };
  /** Namespaces that it is born into. */
  readonly enter: readonly NamespaceFile[];
}

/** An open /proc/PID/ns file, its path, and its CLONE_NEW* flag. */
export interface NamespaceFile {
  readonly fd: number;
  readonly path: string;
  readonly flag: number;
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

export function bootInit(request: BootRequest): InitProcess {
  const stub = executableInMemory('init', stubProgram());
  const [mine, theirs] = socketPair();
  try {
    return new InitProcess(
      insideNamespaces(request, () => startStub(request, stub, theirs)),
      mine,
    );
  } catch (error) {
    closeSync(mine);
    throw error;
  } finally {
    closeSync(theirs);
    closeSync(stub);
  }
}

interface Started {
  readonly child: Child;
  readonly pid: number;
  readonly ended: Promise<Ended>;
}

const NAME = 'init';

/** In a session of its own: keys of the caller's terminal reach it by the caller alone. */
function startStub(request: BootRequest, stub: number, socket: number): Started {
  using streams = new ProgramStreams(request.stdio);
  const files = [...streams.files, socket];
  const wrapped = wrapperFor(request, [`/proc/self/fd/${STUB_FILE}`]);
  try {
    const { kill, ...started } =
      wrapped === undefined ? startDirectly(`/proc/self/fd/${stub}`, files) : startWrapped(wrapped, [...files, stub]);
    return { ...started, child: { ...streams.ends, kill } };
  } catch (error) {
    streams.abandon();
    throw error;
  }
}

type Bare = Omit<Started, 'child'> & Pick<Child, 'kill'>;

function startWrapped([program = '', ...args]: readonly string[], files: readonly (number | 'ignore')[]): Bare {
  const child = spawn(program, args, { env: {}, detached: true, stdio: [...files] });
  // Reported again by the event, which nobody else listens to.
  child.on('error', () => undefined);
  if (child.pid === undefined) throw new TslayerError('FAILED', `cannot start ${program}`);
  return { pid: child.pid, ended: endOf(child), kill: (signal) => child.kill(signal) };
}

function startDirectly(path: string, files: readonly (number | 'ignore')[]): Bare {
  const spawned = spawnProcess({ path, name: NAME, files });
  const kill: Child['kill'] = (signal) => spawned.kill(typeof signal === 'number' ? signal : constants.signals[signal]);
  return { pid: spawned.pid, ended: spawned.ended.then(endedOf), kill };
}

function endedOf({ exitCode, signal }: WaitStatus): Ended {
  if (signal === undefined) return { exitCode: exitCode ?? 125 };
  const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
  return { exitCode: 128 + signal, signal: name ?? String(signal) };
}

/** Where programs that start the stub find it. */
const STUB_FILE: number = STUB_SOCKET + 1;

/** What starts the stub where the caller cannot do so itself. */
function wrapperFor(request: BootRequest, stub: string[]): string[] | undefined {
  const { user, newPid } = request;
  if (user === 'new') return inNewUserNamespace(newPid, stub);
  if (user !== 'host') return inUserNamespaceOf(user.pid, stub);
  return leavesForGood(request) ? inPidNamespace(pidNamespaceOf(request), stub) : undefined;
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
    for (const each of enter) {
      remember(NAMESPACE_FILES[each.flag]!, each.flag);
      enterOne(each);
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

function enterOne({ fd, path, flag }: NamespaceFile): void {
  try {
    setns(fd, flag);
  } catch (error) {
    throw asTslayerError(error, `cannot join the namespace ${path}`);
  }
}

const NAMESPACE_FILES: Readonly<Record<number, string>> = {
  [CLONE_NEWPID]: 'pid_for_children',
  [CLONE_NEWIPC]: 'ipc',
  [CLONE_NEWUTS]: 'uts',
  [CLONE_NEWNET]: 'net',
  [CLONE_NEWCGROUP]: 'cgroup',
};
