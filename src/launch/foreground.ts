/** `run` in the foreground: the container is the caller's child, with the caller's own streams. */
import { closeSync, openSync } from 'node:fs';
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUTS } from '../sys/namespaces.ts';
import { bootInit, type InitProcess, type NamespaceFile, type Stdio } from './boot.ts';
import { BuiltinCarrier } from './builtin.ts';
import type { ContainerStore } from './container-store.ts';
import { takeEarly } from './early-boot.ts';
import { hasNew } from './init/namespaces.ts';
import type { BootOptions, ForegroundIO, RunningProcess } from './launcher.ts';
import { RuntimeCarrier } from './runtime.ts';
import { signalNumber } from './signals.ts';
import type { ContainerSpec, NamespaceKind } from './spec.ts';
import { type Carrier, type Program, supervise } from './supervise.ts';

const INHERIT: Stdio = ['inherit', 'inherit', 'inherit'];

export function boot(options: BootOptions = {}): InitProcess {
  const early = takeEarly(options);
  if (early) return early;
  const { stdio = INHERIT, hostPid = false, userNamespace = false } = options;
  return bootInit({ stdio, newPid: !hostPid, user: userNamespace ? 'new' : 'host', enter: [] });
}

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
};

/** A PID namespace can only be joined so; from within a user namespace of its own, the init process can join none. */
function joinedAtBirth({ namespaces, userNamespace }: ContainerSpec): NamespaceFile[] {
  return namespaces.flatMap(({ type, path }) => {
    const flag = FLAGS[type];
    if (path === undefined || flag === undefined || (type !== 'pid' && !userNamespace)) return [];
    return [{ fd: openSync(path, 'r'), path, flag }];
  });
}

export async function runForeground(
  store: ContainerStore,
  spec: ContainerSpec,
  io: ForegroundIO = {},
): Promise<RunningProcess> {
  const carry = chooseCarrier(store, spec, io);
  using _unused = carry.init;
  const lock = await store.add(spec);
  const { program, exited } = await supervise({ store, spec, lock, carrier: carry.carrier, durable: false });
  const abort = (): boolean => program.child.kill('SIGKILL');
  if (io.signal?.aborted) abort();
  io.signal?.addEventListener('abort', abort, { once: true });
  const ended = exited.finally(() => io.signal?.removeEventListener('abort', abort));
  return handleOf(program, ended);
}

/** The init process starts here already: node's own start overlaps what the store does. */
function chooseCarrier(
  store: ContainerStore,
  spec: ContainerSpec,
  io: ForegroundIO,
): { readonly carrier: Carrier; readonly init?: InitProcess } {
  const [stdin, stdout, stderr] = io.stdio ?? INHERIT;
  const stdio: Stdio = [spec.process.stdin ? stdin : 'ignore', stdout, stderr];
  const booted = io.booted as InitProcess | undefined;
  if (spec.runtime) {
    booted?.[Symbol.dispose]();
    return { carrier: new RuntimeCarrier({ runtime: spec.runtime, spec, paths: store.paths(spec.id), stdio }) };
  }
  const init = bootedFor(spec, stdio, booted);
  const hooks = { onWarning: io.onWarning ?? (() => undefined), onTerminal: () => undefined };
  return { init, carrier: new BuiltinCarrier({ store, spec, init, ...hooks }) };
}

function bootedFor(spec: ContainerSpec, stdio: Stdio, booted: InitProcess | undefined): InitProcess {
  if (booted && suits(booted, spec)) return booted;
  // It was started too early to know better.
  booted?.[Symbol.dispose]();
  return bootFor(spec, stdio);
}

function suits({ request }: InitProcess, spec: ContainerSpec): boolean {
  const pid = spec.namespaces.find(({ type }) => type === 'pid');
  const user = spec.userNamespace ? 'new' : 'host';
  return (
    (!request.early || wantsUsual(spec)) &&
    pid?.path === undefined &&
    request.newPid === (pid !== undefined) &&
    request.user === user &&
    joinsNothing(spec)
  );
}

/** An early one is in new UTS, IPC and network namespaces already. */
function wantsUsual({ namespaces }: ContainerSpec): boolean {
  return (['uts', 'ipc', 'network'] as const).every((type) => hasNew(namespaces, type));
}

function joinsNothing({ namespaces, userNamespace }: ContainerSpec): boolean {
  return userNamespace === undefined || namespaces.every(({ path }) => path === undefined);
}

export function handleOf(program: Program, exited: RunningProcess['exited']): RunningProcess {
  const { stdin, stdout, stderr } = program.child;
  const kill = (signal: string): void => void program.signal(signalNumber(signal));
  return { pid: program.pid, stdin, stdout, stderr, exited, kill };
}
