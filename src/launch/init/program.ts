/** The last steps of the init process: it becomes the program. */
import { accessSync, constants, openSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { hasErrno } from '../../sys/libc.ts';
import { executableInMemory } from '../../sys/memfd.ts';
import { CLONE_NEWCGROUP, unshare } from '../../sys/namespaces.ts';
import {
  blockSignals,
  closeOnExecFrom,
  execve,
  fexecve,
  resetSignals,
  setCloseOnExec,
  setDumpable,
} from '../../sys/process.ts';
import { dup2 } from '../../sys/pty.ts';
import { installFilter } from '../../sys/seccomp.ts';
import { LaunchError } from '../errors.ts';
import type { ProgramTask } from '../protocol.ts';
import { reaperProgram } from '../reaper.ts';
import { send, warn } from './channel.ts';
import { assumeIdentity } from './identity.ts';
import { setLimits } from './limits.ts';
import { bindConsole, openTerminal } from './terminal.ts';
import { resolveUser } from './user.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface Entry {
  /** Open cgroup files that take the process in by a `0`. */
  readonly cgroupFiles: readonly number[];
  readonly newCgroupNamespace: boolean;
  /** The container's own, not a further one: its terminal is the console, and it may want an init. */
  readonly first: boolean;
}

export function becomeProgram(task: ProgramTask, entry: Entry): never {
  const { process: spec } = task;
  const user = resolveUser(spec.user, spec.additionalGroups, '/');
  if (spec.terminal) {
    const slave = openTerminal(user.uid, task.windowSize);
    if (entry.first) bindConsole(slave);
  }
  if (!spec.terminal && !spec.stdin) dup2(openSync('/dev/null', 'r'), 0);
  setLimits(spec.rlimits);
  if (spec.oomScoreAdj !== undefined) setOomScore(spec.oomScoreAdj);
  setDumpable(false);
  joinCgroups(entry);
  const filter = task.filter === undefined ? undefined : Buffer.from(task.filter, 'base64');
  // With no_new_privs any process may install a filter; without, only while it is privileged.
  if (filter && !spec.noNewPrivileges) installFilter(filter);
  assumeIdentity(spec, user);
  enterDirectory(spec.cwd);
  const env = spec.env.some((entry) => entry.startsWith('HOME=')) ? spec.env : [...spec.env, `HOME=${user.home}`];
  const program = findProgram(spec.args[0] ?? '', searchPath(env));
  resetSignals();
  // A signal that came before the init is ready for it would be lost on PID 1.
  if (entry.first && spec.init) blockSignals();
  closeOnExecFrom(3);
  for (const fd of [0, 1, 2]) setCloseOnExec(fd, false);
  const init = spec.init && entry.first ? executableInMemory('init', reaperProgram()) : undefined;
  send({ type: 'starting' });
  if (filter && spec.noNewPrivileges) installFilter(filter);
  return execute(() => {
    if (init === undefined) return execve(program, spec.args, env);
    return fexecve(init, ['init', program, ...spec.args], env);
  }, program);
}

/** At the last moment: node's own memory and threads are not the container's to pay for. */
function joinCgroups(entry: Entry): void {
  for (const file of entry.cgroupFiles) writeSync(file, '0');
  if (entry.newCgroupNamespace) unshare(CLONE_NEWCGROUP);
}

function execute(exec: () => never, program: string): never {
  try {
    return exec();
  } catch (error) {
    const missing = hasErrno(error, 'ENOENT');
    const why = error instanceof Error ? error.message : String(error);
    throw new LaunchError(missing ? 127 : 126, missing ? 'NOT_FOUND' : 'DENIED', `cannot execute ${program}: ${why}`, {
      hint: missing ? 'its interpreter or loader may be missing in the image' : undefined,
    });
  }
}

function searchPath(env: readonly string[]): string {
  const path = env.findLast((entry) => entry.startsWith('PATH='));
  return path === undefined ? DEFAULT_PATH : path.slice('PATH='.length);
}

/** As execvp(3) looks for it, as the container's user. */
function findProgram(name: string, path: string): string {
  if (name === '')
    throw new LaunchError(125, 'INVALID_ARGUMENT', 'there is no program to run', {
      hint: 'the image names none: say one after the reference',
    });
  const candidates = name.includes('/') ? [name] : path.split(':').map((directory) => `${directory || '.'}/${name}`);
  let denied: string | undefined;
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
      denied ??= candidate;
    } catch (error) {
      if (hasErrno(error, 'EACCES')) denied ??= candidate;
    }
  }
  if (denied !== undefined) throw new LaunchError(126, 'DENIED', `${denied} cannot be executed in the container`);
  throw new LaunchError(127, 'NOT_FOUND', `there is no program ${JSON.stringify(name)} in the container`);
}

/**
 * A directory reached through a leaked descriptor lies outside the root (CVE-2024-21626): the kernel then calls the
 * current directory `(unreachable)/…`, and C libraries know none.
 */
function enterDirectory(directory: string): void {
  try {
    process.chdir(directory);
  } catch (cause) {
    throw new LaunchError(126, 'DENIED', `cannot enter the working directory ${directory}`, { cause });
  }
  if (!currentDirectory()?.startsWith('/')) {
    throw new LaunchError(125, 'UNSAFE_LAYER', `the working directory ${directory} leads out of the container`);
  }
}

function currentDirectory(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

function setOomScore(score: number): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', String(score));
  } catch (error) {
    if (!hasErrno(error, 'EACCES', 'EPERM')) throw error;
    warn('the OOM score could not be lowered: that takes CAP_SYS_RESOURCE');
  }
}
