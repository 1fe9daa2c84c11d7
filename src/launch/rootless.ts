/**
 * Work without privilege: an ordinary user is root in a user namespace that maps the user, and the subordinate ids
 * that the administrator gave (subuid(5)). There, overlayfs can be mounted (`userxattr`), layers unpacked with their
 * owners, and containers started. What takes the host's root (device nodes, other users' cgroups) does not work.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { constants, userInfo } from 'node:os';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { TslayerError } from '../errors.ts';
import { hasErrno } from '../sys/libc.ts';
import { ContainerStore } from './container-store.ts';
import { findRange } from './host.ts';
import { startTimeOf } from './liveness.ts';
import { findProgram } from './programs.ts';

/** Whether what needs privilege must go through `runAsMappedRoot`. */
export function isOrdinaryUser(): boolean {
  return process.geteuid?.() !== 0;
}

/** Waits for its ids, then becomes the program: what it is executed by must not be root without them. */
const WAIT_FOR_IDS = 'read -r _ <&3 && exec 3<&- "$@"';

export interface MappedRootOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** The user's store: while one of its containers runs, the command joins the namespace that this was started in. */
  readonly root?: string;
}

/**
 * Runs a command as root of a user and mount namespace of the caller's, with the caller's streams, and gives its exit
 * status. Mounts that it makes are seen in that namespace only, and go with the last process in it.
 *
 * @throws TslayerError UNSUPPORTED where the machine does not let users do so, with what to change
 */
export async function runAsMappedRoot(command: readonly string[], options: MappedRootOptions = {}): Promise<number> {
  const { env = process.env, root } = options;
  const holder = root === undefined ? undefined : findHolder(root);
  const child = holder === undefined ? startInNewNamespace(command, env) : startInNamespaceOf(holder, command, env);
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  using _proxy = passSignals(child);
  if (holder === undefined) await furnish(child);
  const [code, signal] = await ended;
  return signal === null ? (code ?? 1) : 128 + constants.signals[signal];
}

/** A process that watches a running container of the store. */
export function findHolder(root: string): number | undefined {
  const store = new ContainerStore(root);
  for (const id of readableIds(store)) {
    const { status, watcher } = store.readState(id);
    if (status !== 'running' || watcher?.startTime === undefined) continue;
    if (startTimeOf(watcher.pid) === watcher.startTime) return watcher.pid;
  }
  return undefined;
}

/** None in a store that is not there, or not ours. */
function readableIds(store: ContainerStore): string[] {
  try {
    return store.ids();
  } catch (error) {
    if (hasErrno(error, 'EACCES', 'ENOTDIR')) return [];
    throw error;
  }
}

function startInNewNamespace(command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const unshare = [findProgram('unshare'), '--user', '--mount', '--propagation', 'slave', '--'];
  return startDyingWithUs([...unshare, '/bin/sh', '-c', WAIT_FOR_IDS, 'sh', ...command], env, true);
}

function startInNamespaceOf(pid: number, command: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const enter = [findProgram('nsenter'), `--user=/proc/${pid}/ns/user`, `--mount=/proc/${pid}/ns/mnt`];
  // Entering a mount namespace leads to its root directory: back to where the caller is.
  return startDyingWithUs([...enter, `--wd=${process.cwd()}`, '--', ...command], env, false);
}

function startDyingWithUs(command: readonly string[], env: NodeJS.ProcessEnv, waits: boolean): ChildProcess {
  const words = ['--pdeathsig', 'KILL', '--', ...command];
  return spawn(findProgram('setpriv'), words, {
    stdio: ['inherit', 'inherit', 'inherit', waits ? 'pipe' : 'ignore'],
    env,
  });
}

/** Gives a new namespace its ids, and lets the command in it begin. */
async function furnish(child: ChildProcess): Promise<void> {
  try {
    const maps = subordinateMaps();
    await untilInNamespace(child);
    await giveIds(child.pid!, maps);
    (child.stdio[3] as Writable).end('\n');
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}

interface Maps {
  readonly uids: readonly string[];
  readonly gids: readonly string[];
}

/** Arguments of newuidmap(1): root is the caller, the rest are the subordinate ids. */
function subordinateMaps(): Maps {
  const { uid, gid, username } = userInfo();
  const range = (file: string): string[] => {
    const text = readFileSync(file, 'utf8');
    const found = findRange(text, username) ?? findRange(text, String(uid));
    if (found) return ['1', String(found.first), String(found.count)];
    throw new TslayerError('UNSUPPORTED', `${file} gives no subordinate ids to ${username}`, {
      hint: `as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${username}`,
    });
  };
  try {
    return {
      uids: ['0', String(uid), '1', ...range('/etc/subuid')],
      gids: ['0', String(gid), '1', ...range('/etc/subgid')],
    };
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw error;
    throw new TslayerError('UNSUPPORTED', 'this machine has no /etc/subuid and /etc/subgid', { cause: error });
  }
}

const PATIENCE_MS = 10_000;

async function untilInNamespace(child: ChildProcess): Promise<void> {
  const own = readlinkSync('/proc/self/ns/user');
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; await delay(1)) {
    if (child.exitCode !== null || child.pid === undefined) break;
    if (userNamespaceOf(child.pid) !== own) return;
  }
  throw new TslayerError('UNSUPPORTED', 'this machine gives users no user namespaces', {
    hint: 'sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns',
  });
}

function userNamespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`);
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

async function giveIds(pid: number, maps: Maps): Promise<void> {
  await runMapper('newuidmap', [String(pid), ...maps.uids]);
  await runMapper('newgidmap', [String(pid), ...maps.gids]);
}

async function runMapper(name: string, args: readonly string[]): Promise<void> {
  const mapper = spawn(findProgram(name), args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  mapper.stderr.on('data', (text) => (said += String(text)));
  const [code] = await once(mapper, 'close');
  if (code !== 0) throw new TslayerError('DENIED', `${name}: ${said.trim() || `exit status ${code}`}`);
}

const PASSED: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** A key at the terminal reaches both of us: here it must only not kill. Signals sent to us alone are passed on. */
function passSignals(child: ChildProcess): Disposable {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGINT' && signal !== 'SIGQUIT') child.kill(signal);
  };
  for (const signal of PASSED) process.on(signal, onSignal);
  return {
    [Symbol.dispose]: () => {
      for (const signal of PASSED) process.off(signal, onSignal);
    },
  };
}
