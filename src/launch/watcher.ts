/**
 * The watcher of a container that is detached or has a terminal: a process of its own, in a session of its own, that
 * is the container's parent. It writes the log, lets clients attach, and records how the container ended.
 *
 * Started with the store's root and the container's id as arguments, the connection to whoever started it as
 * descriptor 3, and the container's lock as descriptor 4. The container dies with it, by the kernel's doing.
 */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { asTslayerError } from '../errors.ts';
import { FileLock } from '../sys/locks.ts';
import { AttachServer } from './attach-server.ts';
import { BuiltinCarrier } from './builtin.ts';
import { ContainerIO } from './container-io.ts';
import { ContainerStore } from './container-store.ts';
import { exitStatusOf } from './errors.ts';
import { bootFor } from './foreground.ts';
import { RuntimeCarrier } from './runtime.ts';
import type { ContainerSpec } from './spec.ts';
import type { Stdio } from './streams.ts';
import { type Carrier, supervise } from './supervise.ts';

const CLIENT_FD = 3;
const LOCK_FD = 4;

const [root = '', id = ''] = process.argv.slice(2);
await watch(new ContainerStore(root), id);

async function watch(store: ContainerStore, id: string): Promise<void> {
  const { spec } = store.read(id)!;
  const paths = store.paths(id);
  const io = new ContainerIO(paths.log);
  const server = new AttachServer(io);
  server.serve(new Socket({ fd: CLIENT_FD, readable: true, writable: true }));
  try {
    const lock = new FileLock(paths.lock, LOCK_FD);
    const carrier = chooseCarrier(store, spec, io, server);
    const { program, exited } = await supervise({ store, spec, lock, carrier, durable: true });
    server.onHangUp = () => io.hangUp(program);
    await server.listen(paths.base);
    server.announce({ type: 'started' });
    const result = await exited;
    await io.drained();
    await server.end({ type: 'exited', result });
    if (spec.onExit) runAfterwards(spec.onExit);
  } catch (error) {
    const { code, message, hint } = asTslayerError(error);
    await server.end({ type: 'error', exitStatus: exitStatusOf(error), code, message, hint });
  }
}

function chooseCarrier(store: ContainerStore, spec: ContainerSpec, io: ContainerIO, server: AttachServer): Carrier {
  const { terminal, stdin } = spec.process;
  const pipes: Stdio = [stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'];
  if (spec.runtime) {
    const paths = store.paths(spec.id);
    return new RuntimeCarrier({
      runtime: spec.runtime,
      spec,
      paths,
      stdio: pipes,
      onChild: (child) => io.connectPipes(child),
    });
  }
  const init = bootFor(spec, terminal ? ['ignore', 'ignore', 'ignore'] : pipes);
  if (!terminal) io.connectPipes(init.child);
  server.onHangUp = () => io.hangUp(init);
  return new BuiltinCarrier({
    store,
    spec,
    init,
    ...(terminal && { windowSize: () => server.firstSize() }),
    onWarning: (message) => server.announce({ type: 'warning', message }),
    onTerminal: (master) => io.connectTerminal(master),
  });
}

/** In a session of its own: it removes the container, and with it what this process writes to. */
function runAfterwards([program, ...args]: readonly string[]): void {
  if (program !== undefined) spawn(program, args, { stdio: 'ignore', detached: true }).unref();
}
