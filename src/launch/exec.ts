/** A further program in a running container: it joins the namespaces and cgroups of the first one. */
import { closeSync, openSync } from 'node:fs';
import { TslayerError } from '../errors.ts';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUTS,
} from '../sys/namespaces.ts';
import { setWindowSize, type WindowSize } from '../sys/pty.ts';
import { bootInit } from './boot/boot.ts';
import type { InitProcess } from './boot/init-process.ts';
import type { NamespaceFile } from './boot/request.ts';
import { ALL_CAPABILITIES } from './capabilities.ts';
import { ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import type { ContainerStore } from './container-store.ts';
import { behindShield, handleOf } from './foreground.ts';
import { joinNamespaces } from './init/namespaces.ts';
import { becomeProgram, type ProgramRequest } from './init/program.ts';
import { running } from './inspect.ts';
import { lastWords } from './last-words.ts';
import type { ExitResult, ForegroundIO, RunningProcess, TerminalIO } from './launcher.ts';
import { withProcess } from './liveness.ts';
import { mergeEnvironment } from './options/environment.ts';
import { RawTerminal } from './raw-terminal.ts';
import type { ExecOptions } from './run-options.ts';
import { filterFor } from './seccomp/filter.ts';
import type { ContainerSpec, ProcessSpec } from './spec.ts';
import type { Stdio } from './streams.ts';
import { passTyping } from './typing.ts';

interface Joined {
  readonly file: string;
  readonly flag: number;
  /** It must be born into it: PID namespaces, and what a user namespace's root may not join by itself. */
  readonly early: 'always' | 'with user namespace' | 'never';
}

/** The mount namespace last: the other files are the host's. */
const JOINED: readonly Joined[] = [
  { file: 'pid', flag: CLONE_NEWPID, early: 'always' },
  { file: 'ipc', flag: CLONE_NEWIPC, early: 'with user namespace' },
  { file: 'uts', flag: CLONE_NEWUTS, early: 'with user namespace' },
  { file: 'net', flag: CLONE_NEWNET, early: 'with user namespace' },
  { file: 'cgroup', flag: CLONE_NEWCGROUP, early: 'never' },
  { file: 'mnt', flag: CLONE_NEWNS, early: 'never' },
];

export async function execForeground(
  store: ContainerStore,
  name: string,
  options: ExecOptions,
  io: ForegroundIO = {},
): Promise<RunningProcess> {
  const [stdin, stdout, stderr] = io.stdio ?? ['inherit', 'inherit', 'inherit'];
  const stdio: Stdio = [options.interactive ? stdin : 'ignore', stdout, stderr];
  return behindShield(stdio, (shielded) => join(store, name, { ...options, tty: false }, shielded, io));
}

/** The caller's terminal joined to one of the container's; until the program ends. */
export async function execTerminal(
  store: ContainerStore,
  name: string,
  options: ExecOptions,
  io: TerminalIO = {},
): Promise<ExitResult> {
  const stdin = io.stdin ?? process.stdin;
  const stdout = io.stdout ?? process.stdout;
  const { ReadStream: TerminalStream } = await import('node:tty');
  const terminal = new RawTerminal(stdin, stdout);
  const session = new AbortController();
  const { signal } = session;
  let shown = async (): Promise<void> => undefined;
  const connect = (fd: number): void => {
    const master = new TerminalStream(fd);
    // Its end is an error.
    master.on('error', () => master.destroy()).pipe(stdout, { end: false });
    shown = () => lastWords(master, fd);
    signal.addEventListener('abort', () => master.destroy(), { once: true });
    terminal.onSize((size) => !master.destroyed && setWindowSize(fd, size), signal);
    if (!options.interactive) return;
    terminal.raw(signal);
    passTyping(stdin, (data) => master.writable && master.write(data), { ends: true, signal });
  };
  try {
    const ignored: Stdio = ['ignore', 'ignore', 'ignore'];
    const own = { size: terminal.size, connect };
    const program = await join(store, name, { ...options, tty: true }, ignored, io, own);
    const result = await program.exited;
    await shown();
    return result;
  } finally {
    session.abort();
  }
}

/** Of the caller: its size now, and what is done with the master of the program's own. */
interface CallersTerminal {
  readonly size: WindowSize;
  readonly connect: (master: number) => void;
}

async function join(
  store: ContainerStore,
  name: string,
  options: ExecOptions,
  stdio: Stdio,
  io: Pick<ForegroundIO, 'signal' | 'onWarning'>,
  terminal?: CallersTerminal,
): Promise<RunningProcess> {
  const { record, pid, startTime } = await running(store, name);
  const cgroups = ContainerCgroups.find(cgroupPath(record.spec));
  if (cgroups.isFrozen()) throw new TslayerError('IN_USE', `the container ${record.spec.name} is paused`);
  const mapped = record.spec.userNamespace !== undefined;
  const namespaces = withProcess(pid, startTime, () => openNamespaces(pid, mapped));
  if (!namespaces) throw new TslayerError('IN_USE', `the container ${record.spec.name} has just ended`);
  const { early, late } = namespaces;
  const members = cgroups.openMembers();
  const files = [...late.map(({ fd }) => fd), ...members];
  try {
    const init = bootInit({ stdio, newPid: false, user: mapped ? { pid } : 'host', enter: early });
    using _unused = init;
    const abort = (): boolean => init.child.kill('SIGKILL');
    io.signal?.addEventListener('abort', abort, { once: true });
    const request = await programRequest(record.spec, options, terminal?.size);
    launch(init, request, late, members, io, terminal?.connect);
    const result = init.ended.then((end): ExitResult => {
      io.signal?.removeEventListener('abort', abort);
      return { ...end, oomKilled: false };
    });
    return handleOf(init, result);
  } finally {
    for (const fd of [...files, ...early.map((each) => each.fd)]) closeSync(fd);
  }
}

function launch(
  init: InitProcess,
  request: ExecRequest,
  namespaces: readonly NamespaceFile[],
  members: readonly number[],
  { onWarning = () => undefined }: Pick<ForegroundIO, 'onWarning'>,
  onTerminal: (master: number) => void = () => undefined,
): void {
  init.ready();
  init.become((remote) => {
    const files = remote.pass([...namespaces.map(({ fd }) => fd), ...members]);
    joinNamespaces(
      remote,
      files.slice(0, namespaces.length),
      namespaces.map(({ flag }) => flag),
    );
    becomeProgram(remote, {
      ...request,
      cgroupFiles: files.slice(namespaces.length),
      newCgroupNamespace: false,
      first: false,
      onWarning,
      onMaster: (master) => onTerminal(init.descriptor(master)),
    });
  });
}

function openNamespaces(pid: number, mapped: boolean): { early: NamespaceFile[]; late: NamespaceFile[] } {
  const opened = JOINED.map(({ file, flag, early }) => {
    const path = `/proc/${pid}/ns/${file}`;
    return { fd: openSync(path, 'r'), path, flag, early: early === 'always' || (mapped && early !== 'never') };
  });
  return { early: opened.filter(({ early }) => early), late: opened.filter(({ early }) => !early) };
}

type ExecRequest = Pick<ProgramRequest, 'process' | 'filter' | 'windowSize'>;

async function programRequest(
  spec: ContainerSpec,
  options: ExecOptions,
  windowSize: WindowSize | undefined,
): Promise<ExecRequest> {
  const own = spec.process;
  const program: ProcessSpec = {
    ...own,
    args: options.command,
    env: mergeEnvironment(own.env, options.tty ? ['TERM=xterm'] : [], options.env ?? []),
    cwd: options.workdir ?? own.cwd,
    user: options.user ?? own.user,
    terminal: options.tty ?? false,
    stdin: options.interactive ?? false,
    ...(options.privileged && { capabilities: ALL_CAPABILITIES, noNewPrivileges: false }),
  };
  const { seccomp, capabilities } = program;
  const filter = seccomp && !options.privileged ? await filterFor(seccomp, capabilities) : undefined;
  return { process: program, filter, windowSize };
}
