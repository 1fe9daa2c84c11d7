/**
 * The two ways to start the stub: as the caller's own child, where the calling thread can be in the namespaces that it
 * is to be born into; otherwise by a program that makes or joins a user namespace first.
 */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { TslayerError } from '../../errors.ts';
import { CLONE_NEWPID } from '../../sys/namespaces.ts';
import { STUB_SOCKET } from '../../sys/remote/stub.ts';
import { spawnProcess } from '../../sys/spawn.ts';
import { ProgramStreams } from '../streams.ts';
import type { Child } from '../supervise.ts';
import { inNewUserNamespace, inPidNamespace, inUserNamespaceOf } from '../user-namespace.ts';
import { endedOf, endOf } from './ended.ts';
import type { Started } from './init-process.ts';
import { type BootRequest, leavesForGood } from './request.ts';

const NAME = 'init';

/** In a session of its own: keys of the caller's terminal reach it by the caller alone. */
export function startStub(request: BootRequest, stub: number, socket: number): Started {
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

/** Where programs that start the stub find it. */
const STUB_FILE: number = STUB_SOCKET + 1;

/** What starts the stub where the caller cannot do so itself. */
function wrapperFor(request: BootRequest, stub: string[]): string[] | undefined {
  const { user, newPid } = request;
  if (user === 'new') return inNewUserNamespace(newPid, stub);
  if (user !== 'host') return inUserNamespaceOf(user.pid, stub);
  return leavesForGood(request) ? inPidNamespace(pidNamespaceOf(request), stub) : undefined;
}

function pidNamespaceOf({ enter }: BootRequest): string | undefined {
  return enter.find(({ flag }) => flag === CLONE_NEWPID)?.path;
}
