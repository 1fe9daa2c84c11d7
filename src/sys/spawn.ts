/**
 * Starts a program without fork(2), which node:child_process does: copying the page tables of a Node process, and
 * touching its pages anew, takes 4 ms, and as long to load that module. posix_spawn(3) has the child borrow the memory
 * until it executes something.
 *
 * glibc and musl have it, with the same numbers and the same or smaller structures, on x64 and arm64. Where a C library
 * lacks a part, Node starts the program.
 *
 * The process knows of its child by SIGCHLD, as Node does of its own; each waits for its own pids only.
 */
import { constants } from 'node:fs';
import { TslayerError } from '../errors.ts';
import { check, closeFd, cstring, errnos, lastErrno, type Native, native, SystemCallError } from './libc.ts';
import { addressOf } from './memory.ts';

const cWaitPid = native('int', 'waitpid', ['int', 'bytes', 'int']);
const cKill = native('int', 'kill', ['int', 'int']);
const cFcntl = native('int', 'fcntl', ['int', 'int', 'long']);

/** More than posix_spawnattr_t (336) and posix_spawn_file_actions_t (80) take. */
const OPAQUE = 1024;
const SIGSET = 128;
const SPAWN_SETSIGDEF = 0x04;
const SPAWN_SETSIGMASK = 0x08;
/** Since glibc 2.26 and musl 1.1.22. */
const SPAWN_SETSID = 0x80;
const WNOHANG = 1;
const F_GETFL = 3;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
/** SIGCHLD is not told in worker threads, and a host program may take all listeners away. */
const LOOK_AGAIN_MS = 1000;

export interface SpawnRequest {
  readonly path: string;
  /** Its argv[0], and all there is of arguments; the environment is empty. */
  readonly name: string;
  /** What its descriptors 0, 1, 2 … are; `ignore` is /dev/null. */
  readonly files: readonly (number | 'ignore')[];
}

/** As waitpid(2) tells it. */
export interface WaitStatus {
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
}

export interface SpawnedProcess {
  readonly pid: number;
  readonly ended: Promise<WaitStatus>;
  /** False when it is gone. */
  kill(signal: number): boolean;
}

/** In a session of its own, with default signals. */
export function spawnProcess(request: SpawnRequest): SpawnedProcess {
  const posix = posixSpawn();
  return posix === undefined ? spawnByNode(request) : spawnDirectly(posix, request);
}

function spawnDirectly(posix: PosixSpawn, request: SpawnRequest): SpawnedProcess {
  const child = new Child();
  // Before it is there: its end is told once.
  watch(child);
  try {
    child.pid = start(posix, request);
  } catch (error) {
    forget(child);
    throw error;
  }
  return child;
}

/** The C library's functions, and attributes that it takes. */
interface PosixSpawn {
  readonly spawn: Native;
  readonly initActions: Native;
  readonly destroyActions: Native;
  readonly addDup2: Native;
  readonly addOpen: Native;
  readonly attributes: Uint8Array;
}

let known: { readonly posix: PosixSpawn | undefined } | undefined;

function posixSpawn(): PosixSpawn | undefined {
  known ??= { posix: findPosixSpawn() };
  return known.posix;
}

/** Undefined where a function is missing, or a flag is not known. */
export function findPosixSpawn(find: typeof native = native): PosixSpawn | undefined {
  try {
    return {
      spawn: find('int', 'posix_spawn', ['bytes', 'path', 'bytes', 'bytes', 'bytes', 'bytes']),
      initActions: find('int', 'posix_spawn_file_actions_init', ['bytes']),
      destroyActions: find('int', 'posix_spawn_file_actions_destroy', ['bytes']),
      addDup2: find('int', 'posix_spawn_file_actions_adddup2', ['bytes', 'int', 'int']),
      addOpen: find('int', 'posix_spawn_file_actions_addopen', ['bytes', 'int', 'path', 'int', 'uint']),
      attributes: attributes(find),
    };
  } catch {
    return undefined;
  }
}

function attributes(find: typeof native): Buffer {
  const attributes = Buffer.alloc(OPAQUE);
  succeed(find('int', 'posix_spawnattr_init', ['bytes'])(attributes), 'posix_spawnattr_init');
  const [all, none] = [Buffer.alloc(SIGSET), Buffer.alloc(SIGSET)];
  find('int', 'sigfillset', ['bytes'])(all);
  const set = (what: string, type: 'bytes' | 'int', value: Buffer | number): void =>
    succeed(find('int', `posix_spawnattr_set${what}`, ['bytes', type])(attributes, value), what);
  set('sigdefault', 'bytes', all);
  set('sigmask', 'bytes', none);
  set('flags', 'int', SPAWN_SETSIGDEF | SPAWN_SETSIGMASK | SPAWN_SETSID);
  return attributes;
}

function start(posix: PosixSpawn, { path, name, files }: SpawnRequest): number {
  const actions = Buffer.alloc(OPAQUE);
  succeed(posix.initActions(actions), 'posix_spawn_file_actions_init');
  const copies: number[] = [];
  try {
    for (const [place, file] of files.entries()) {
      if (file === 'ignore') putNothing(posix, actions, place);
      else copies.push(put(posix, actions, { file, place, places: files.length }));
    }
    const [pid, argv0] = [Buffer.alloc(4), cstring(name)];
    const argv = Buffer.alloc(16);
    argv.writeBigUInt64LE(addressOf(argv0));
    const noEnvironment = Buffer.alloc(8);
    const error = posix.spawn(pid, cstring(path), actions, posix.attributes, argv, noEnvironment);
    succeed(error, 'posix_spawn', path);
    return pid.readInt32LE();
  } finally {
    for (const copy of copies) closeFd(copy);
    posix.destroyActions(actions);
  }
}

function putNothing({ addOpen }: PosixSpawn, actions: Buffer, place: number): void {
  const flags = place === 0 ? constants.O_RDONLY : constants.O_RDWR;
  succeed(addOpen(actions, place, cstring('/dev/null'), flags, 0), 'posix_spawn_file_actions_addopen');
}

interface Placement {
  readonly file: number;
  readonly place: number;
  readonly places: number;
}

/** By a copy beyond all places, which is returned: Node has its own streams closed on exec, and none is in the way. */
function put({ addDup2 }: PosixSpawn, actions: Buffer, { file, place, places }: Placement): number {
  // Programs expect it of their streams; Node makes pipes that it reads itself non-blocking, for all who share them.
  if (place <= 2) makeBlocking(file);
  const copy = check(cFcntl(file, F_DUPFD_CLOEXEC, places), 'fcntl F_DUPFD_CLOEXEC');
  succeed(addDup2(actions, copy, place), 'posix_spawn_file_actions_adddup2');
  return copy;
}

function makeBlocking(file: number): void {
  const flags = check(cFcntl(file, F_GETFL, 0), 'fcntl F_GETFL');
  if ((flags & constants.O_NONBLOCK) !== 0)
    check(cFcntl(file, F_SETFL, flags & ~constants.O_NONBLOCK), 'fcntl F_SETFL');
}

/** These functions return the error. */
function succeed(error: number, call: string, subject?: string): void {
  if (error !== 0) throw new SystemCallError(call, error, subject);
}

/** Those whose end is not known yet. One listener and one timer for all of them. */
const living = new Set<Child>();
let timer: NodeJS.Timeout | undefined;

function watch(child: Child): void {
  living.add(child);
  if (timer !== undefined) return;
  process.on('SIGCHLD', reapAll);
  // It also keeps this process waiting, which a listener does not.
  timer = setInterval(reapAll, LOOK_AGAIN_MS);
}

function forget(child: Child): void {
  living.delete(child);
  if (living.size > 0) return;
  process.off('SIGCHLD', reapAll);
  clearInterval(timer);
  timer = undefined;
}

function reapAll(): void {
  for (const child of living) child.reap();
}

class Child implements SpawnedProcess {
  pid: number = 0;
  readonly ended: Promise<WaitStatus>;
  readonly #ended = Promise.withResolvers<WaitStatus>();
  #isOver = false;

  constructor() {
    this.ended = this.#ended.promise;
  }

  kill(signal: number): boolean {
    // Not waited for, its pid is nobody else's.
    return !this.#isOver && cKill(this.pid, signal) === 0;
  }

  reap(): void {
    if (this.pid === 0) return;
    const status = Buffer.alloc(4);
    const found = cWaitPid(this.pid, status, WNOHANG);
    if (found === 0 || (found === -1 && lastErrno() === errnos.EINTR)) return;
    this.#isOver = true;
    forget(this);
    // -1: somebody else has waited for it. That it is gone is all that is known.
    this.#ended.resolve(found === -1 ? { exitCode: undefined, signal: undefined } : decode(status.readInt32LE()));
  }
}

/** wait(2): the lowest seven bits are the signal's; else the next eight are the program's. */
function decode(status: number): WaitStatus {
  const signal = status & 0x7f;
  if (signal !== 0) return { exitCode: undefined, signal };
  return { exitCode: (status >> 8) & 0xff, signal: undefined };
}

/** The same by child_process. Its streams block, and signals are default ones, as Node has it. */
export function spawnByNode({ path, name, files }: SpawnRequest): SpawnedProcess {
  const { spawn } = process.getBuiltinModule('node:child_process');
  const { signals } = process.getBuiltinModule('node:os').constants;
  const child = spawn(path, { argv0: name, env: {}, detached: true, stdio: [...files] });
  const ended = new Promise<WaitStatus>((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ exitCode: code ?? undefined, signal: signal === null ? undefined : signals[signal] });
    });
  });
  // Reported again by the event, which nobody else listens to.
  child.on('error', () => undefined);
  const { pid } = child;
  if (pid === undefined) throw new TslayerError('FAILED', `cannot start ${path}`);
  const isOver = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { pid, ended, kill: (signal) => !isOver() && cKill(pid, signal) === 0 };
}
