/** `run` in the foreground: the container is the caller's child, with the caller's own streams. */
import { closeSync, openSync } from 'node:fs';
import { asTslayerError } from '../errors.ts';
import { CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUTS } from '../sys/namespaces.ts';
import { bootInit } from './boot/boot.ts';
import type { InitProcess } from './boot/init-process.ts';
import type { NamespaceFile } from './boot/request.ts';
import { BuiltinCarrier } from './builtin.ts';
import type { ContainerStore } from './container-store.ts';
import { cannotJoin } from './init/namespaces.ts';
import type { ForegroundIO, RunLifetime, RunningProcess } from './launcher.ts';
import { RuntimeCarrier } from './runtime.ts';
import { signalNumber } from './signals.ts';
import type { ContainerSpec, NamespaceKind } from './spec.ts';
import type { Stdio } from './streams.ts';
import { type Carrier, type Program, supervise } from './supervise.ts';
import { TerminalShield } from './terminal-shield.ts';

const INHERIT: Stdio = ['inherit', 'inherit', 'inherit'];

/** The init process that a spec needs. */
export function bootFor(spec: ContainerSpec, stdio: Stdio): InitProcess {
  const joined = joinedAtBirth(spec);
  try {
    const newPid = spec.namespaces.some(({ type, path }) => type === 'pid' && path === undefined);
    return bootInit({ stdio, newPid, user: spec.userNamespace ? 'new' : 'host', enter: joined });
  } finally {
    for (const { fd } of joined) closeSync(fd);
  }
}

const FLAGS: Readonly<Partial<Record<NamespaceKind, number>>> = {
  pid: CLONE_NEWPID,
  ipc: CLONE_NEWIPC,
  uts: CLONE_NEWUTS,
  network: CLONE_NEWNET,
  cgroup: CLONE_NEWCGROUP,
};

/** A PID namespace can only be joined so; from within a user namespace of its own, the init process can join none. */
function joinedAtBirth({ namespaces, userNamespace }: ContainerSpec): NamespaceFile[] {
  return namespaces.flatMap(({ type, path }) => {
    const flag = FLAGS[type];
    if (path === undefined || flag === undefined || (type !== 'pid' && !userNamespace)) return [];
    return [{ fd: openNamespace(type, path), path, flag }];
  });
}

function openNamespace(type: NamespaceKind, path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw asTslayerError(error, cannotJoin(type, path));
  }
}

export async function runForeground(
  store: ContainerStore,
  spec: ContainerSpec,
  io: ForegroundIO = {},
  lifetime: RunLifetime = {},
): Promise<RunningProcess> {
  const [stdin, stdout, stderr] = io.stdio ?? INHERIT;
  const asked: Stdio = [spec.process.stdin ? stdin : 'ignore', stdout, stderr];
  const launch = (stdio: Stdio) => launchForeground(store, spec, { io, stdio, lifetime });
  // Another runtime that makes a terminal joins the caller's to it by itself.
  if (spec.process.terminal) return launch(asked);
  return behindShield(asked, launch);
}

/** Starts what does not get the caller's terminal; its end is when all is shown. */
export async function behindShield(
  asked: Stdio,
  launch: (stdio: Stdio) => Promise<RunningProcess>,
): Promise<RunningProcess> {
  const shield = new TerminalShield(asked);
  try {
    const running = await launch(shield.stdio);
    shield.connect();
    return { ...running, exited: running.exited.finally(() => shield.finish()) };
  } catch (error) {
    shield.abandon();
    throw error;
  }
}

interface ForegroundLaunch {
  readonly io: ForegroundIO;
  readonly stdio: Stdio;
  readonly lifetime: RunLifetime;
}

async function launchForeground(
  store: ContainerStore,
  spec: ContainerSpec,
  { io, stdio, lifetime: { durable = false } }: ForegroundLaunch,
): Promise<RunningProcess> {
  const carry = chooseCarrier(store, spec, io, stdio);
  using _unused = carry.init;
  const lock = await store.add(spec, durable);
  const { program, exited } = await supervise({ store, spec, lock, carrier: carry.carrier, durable });
  const abort = (): boolean => program.child.kill('SIGKILL');
  if (io.signal?.aborted) abort();
  io.signal?.addEventListener('abort', abort, { once: true });
  const ended = exited.finally(() => io.signal?.removeEventListener('abort', abort));
  return handleOf(program, ended);
}

function chooseCarrier(
  store: ContainerStore,
  spec: ContainerSpec,
  io: ForegroundIO,
  stdio: Stdio,
): { readonly carrier: Carrier; readonly init?: InitProcess } {
  if (spec.runtime) {
    return { carrier: new RuntimeCarrier({ runtime: spec.runtime, spec, paths: store.paths(spec.id), stdio }) };
  }
  const init = bootFor(spec, stdio);
  const hooks = { onWarning: io.onWarning ?? (() => undefined), onTerminal: () => undefined };
  return { init, carrier: new BuiltinCarrier({ store, spec, init, ...hooks }) };
}

export function handleOf(program: Program, exited: RunningProcess['exited']): RunningProcess {
  const { stdin, stdout, stderr } = program.child;
  const kill = (signal: string): void => void program.signal(signalNumber(signal));
  return { pid: program.pid, stdin, stdout, stderr, exited, kill };
}
