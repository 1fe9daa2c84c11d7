/** `run` in the foreground: the container is the caller's child, with the caller's own streams. */
import { bootInit, type InitProcess, type Stdio } from './boot.ts';
import type { ContainerStore } from './container-store.ts';
import type { BootedInit, BootOptions, ForegroundIO, RunningProcess } from './launcher.ts';
import { signalNumber } from './signals.ts';
import type { ContainerSpec } from './spec.ts';
import { supervise } from './supervise.ts';

const INHERIT: Stdio = ['inherit', 'inherit', 'inherit'];

export function boot(options: BootOptions = {}): InitProcess {
  return bootInit(options.stdio ?? INHERIT, options.hostPid ? 'host' : 'new');
}

export async function runForeground(
  store: ContainerStore,
  spec: ContainerSpec,
  io: ForegroundIO = {},
): Promise<RunningProcess> {
  // Node starts while the store is written to.
  const init = bootedFor(spec, io);
  using _unused = init;
  const lock = await store.add(spec);
  const abort = (): boolean => init.child.kill('SIGKILL');
  io.signal?.addEventListener('abort', abort, { once: true });
  const { exited } = await supervise({
    store,
    spec,
    lock,
    init,
    durable: false,
    onWarning: io.onWarning ?? (() => undefined),
    onTerminal: () => undefined,
  });
  return handleOf(
    init,
    exited.finally(() => io.signal?.removeEventListener('abort', abort)),
  );
}

function bootedFor(spec: ContainerSpec, io: ForegroundIO): InitProcess {
  if (io.booted) return io.booted as BootedInit as InitProcess;
  const [stdin, stdout, stderr] = io.stdio ?? INHERIT;
  const stdio: Stdio = [spec.process.stdin ? stdin : 'ignore', stdout, stderr];
  return boot({ stdio, hostPid: !spec.namespaces.some(({ type }) => type === 'pid') });
}

export function handleOf(init: InitProcess, exited: RunningProcess['exited']): RunningProcess {
  const { stdin, stdout, stderr } = init.child;
  return { pid: init.pid, stdin, stdout, stderr, exited, kill: (signal) => sendSignal(init, signal) };
}

/** Node's own kill knows no real-time signals. The pid is ours until the child's end was seen. */
function sendSignal({ child, pid }: InitProcess, signal: string): void {
  if (child.exitCode === null && child.signalCode === null) process.kill(pid, signalNumber(signal));
}
