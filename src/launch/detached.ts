/** Starts the watcher of a container, and talks to it. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { TslayerError } from '../errors.ts';
import { socketPair } from '../sys/fd-passing.ts';
import { hasErrno } from '../sys/libc.ts';
import { moduleUrl } from '../sys/module-url.ts';
import type { ContainerStore } from './container-store.ts';
import { LaunchError } from './errors.ts';
import { FRAME, readFrames, type WatcherMessage } from './frames.ts';
import type { ContainerSpec } from './spec.ts';

const WATCHER = fileURLToPath(moduleUrl('./watcher', import.meta.url));

/** The container's record is made here, so that its name is taken when this returns; the watcher gets the lock. */
export async function startWatcher(store: ContainerStore, root: string, spec: ContainerSpec): Promise<Socket> {
  using lock = await store.add(spec, true);
  const { Socket } = await import('node:net');
  const [mine, theirs] = socketPair();
  try {
    const watcher = spawn(process.execPath, ['--no-warnings', WATCHER, root, spec.id], {
      cwd: '/',
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', theirs, lock.fd],
      env: process.env.PATH === undefined ? {} : { PATH: process.env.PATH },
    });
    watcher.on('error', () => undefined);
    if (watcher.pid === undefined) throw new TslayerError('FAILED', 'cannot start the watcher');
    watcher.unref();
    return new Socket({ fd: mine, readable: true, writable: true });
  } catch (error) {
    closeSync(mine);
    store.remove(spec.id);
    throw error;
  } finally {
    closeSync(theirs);
  }
}

/** A connection to the watcher of a running container. */
export async function connectToWatcher(store: ContainerStore, id: string): Promise<Socket> {
  const { connect } = await import('node:net');
  const directory = openSync(store.paths(id).base, 'r');
  try {
    return await new Promise<Socket>((resolve, reject) => {
      const socket = connect(`/proc/self/fd/${directory}/attach`, () => resolve(socket));
      socket.once('error', reject);
    });
  } catch (error) {
    if (!hasErrno(error, 'ENOENT', 'ECONNREFUSED')) throw error;
    throw new TslayerError('IN_USE', `the container ${id} has no watcher to attach to: it runs in the foreground`);
  } finally {
    closeSync(directory);
  }
}

/** Waits until the program runs. @throws LaunchError why it does not */
export async function untilStarted(socket: Socket, onWarning: (message: string) => void): Promise<void> {
  for await (const { kind, payload } of readFrames(socket)) {
    if (kind !== FRAME.control) continue;
    const message = JSON.parse(payload.toString()) as WatcherMessage;
    if (message.type === 'started') return;
    if (message.type === 'warning') onWarning(message.message);
    if (message.type === 'error') throw launchError(message);
  }
  throw new LaunchError(125, 'FAILED', 'the watcher ended before the container was started');
}

export function launchError(message: WatcherMessage & { type: 'error' }): LaunchError {
  return new LaunchError(message.exitStatus, message.code, message.message, { hint: message.hint });
}
