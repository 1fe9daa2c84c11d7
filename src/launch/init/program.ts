/** The last steps of the init process: it becomes the program. */
import { closeSync } from 'node:fs';
import { isTslayerError } from '../../errors.ts';
import { O_RDONLY, O_WRONLY } from '../../sys/at.ts';
import { S_IFREG } from '../../sys/files.ts';
import { hasErrno, SystemCallError } from '../../sys/libc.ts';
import { executableInMemory } from '../../sys/memfd.ts';
import { CLONE_NEWCGROUP } from '../../sys/namespaces.ts';
import type { WindowSize } from '../../sys/pty.ts';
import { ProcessGone } from '../../sys/remote/calls.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import { reaperProgram } from '../reaper.ts';
import type { ProcessSpec } from '../spec.ts';
import { assumeIdentity } from './identity.ts';
import { setLimits } from './limits.ts';
import { bindConsole, openTerminal } from './terminal.ts';
import { type ResolvedUser, resolveUser } from './user.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What starting any program needs, in a new container or in a running one. */
export interface ProgramRequest {
  readonly process: ProcessSpec;
  /** A compiled filter. */
  readonly filter: Uint8Array | undefined;
  readonly windowSize: WindowSize | undefined;
  /** Cgroup files, open in the init process, that take it in by a `0`. */
  readonly cgroupFiles: readonly number[];
  readonly newCgroupNamespace: boolean;
  /** The container's own, not a further one: its terminal is the console, and it may want an init. */
  readonly first: boolean;
  readonly onWarning: (message: string) => void;
  /** Takes the terminal's master, a descriptor of the init process that is closed afterwards. */
  readonly onMaster: (master: number) => void;
}

/** @throws LaunchError what keeps it from becoming the program; ProcessGone */
export function becomeProgram(init: RemoteProcess, request: ProgramRequest): void {
  const { process: spec, filter, onWarning } = request;
  const user = resolveUser(init, spec.user, spec.additionalGroups);
  connectStreams(init, request, user);
  setLimits(init, spec.rlimits, onWarning);
  if (spec.oomScoreAdj !== undefined) setOomScore(init, spec.oomScoreAdj, onWarning);
  init.setDumpable(false);
  joinCgroups(init, request);
  // With no_new_privs any process may install a filter; without, only while it is privileged.
  if (filter && !spec.noNewPrivileges) init.installFilter(filter);
  assumeIdentity(init, spec, user, onWarning);
  enterDirectory(init, spec.cwd);
  const env = spec.env.some((entry) => entry.startsWith('HOME=')) ? spec.env : [...spec.env, `HOME=${user.home}`];
  const program = findProgram(init, spec.args[0] ?? '', searchPath(env));
  const reaper = request.first && spec.init ? passReaper(init) : undefined;
  init.resetSignals();
  // A signal that came before the reaper is ready for it would be lost on PID 1.
  if (reaper !== undefined) init.blockSignals();
  init.closeOnExecFrom(3);
  for (const fd of [0, 1, 2]) init.keepOnExec(fd);
  const last = spec.noNewPrivileges ? filter : undefined;
  execute(program, () => {
    if (reaper === undefined) init.become(program, spec.args, env, last);
    else init.become(reaper, ['init', program, ...spec.args], env, last);
  });
}

function connectStreams(init: RemoteProcess, request: ProgramRequest, { uid }: ResolvedUser): void {
  const { terminal, stdin } = request.process;
  if (terminal) {
    const slave = openTerminal(init, { uid, size: request.windowSize, onMaster: request.onMaster });
    if (request.first) bindConsole(init, slave);
  } else if (!stdin) init.duplicate(init.open('/dev/null', O_RDONLY), 0);
}

/** Last of all that others set up: what was done so far is not the container's to pay for. */
function joinCgroups(init: RemoteProcess, { cgroupFiles, newCgroupNamespace }: ProgramRequest): void {
  init.during('cannot enter the cgroup', () => {
    for (const file of cgroupFiles) init.post('write', [file, '0', 1]);
    if (newCgroupNamespace) init.unshare(CLONE_NEWCGROUP);
  });
  init.flush();
}

function passReaper(init: RemoteProcess): number {
  const file = executableInMemory('init', reaperProgram());
  try {
    return init.pass([file])[0]!;
  } finally {
    closeSync(file);
  }
}

function execute(program: string, exec: () => void): void {
  try {
    exec();
  } catch (error) {
    if (error instanceof ProcessGone || isTslayerError(error)) throw error;
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
function findProgram(init: RemoteProcess, name: string, path: string): string {
  if (name === '')
    throw new LaunchError(125, 'INVALID_ARGUMENT', 'there is no program to run', {
      hint: 'the image names none: say one after the reference',
    });
  const candidates = name.includes('/') ? [name] : path.split(':').map((directory) => `${directory || '.'}/${name}`);
  let denied: string | undefined;
  for (const candidate of candidates) {
    try {
      init.requireExecutable(candidate);
      if (init.stat(candidate).type === S_IFREG) return candidate;
      denied ??= candidate;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
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
function enterDirectory(init: RemoteProcess, directory: string): void {
  try {
    init.chdir(directory);
  } catch (cause) {
    // What was posted before is told by this call.
    if (!(cause instanceof SystemCallError)) throw cause;
    throw new LaunchError(126, 'DENIED', `cannot enter the working directory ${directory}`, { cause });
  }
  if (!init.currentDirectory()?.startsWith('/')) {
    throw new LaunchError(125, 'UNSAFE_LAYER', `the working directory ${directory} leads out of the container`);
  }
}

function setOomScore(init: RemoteProcess, score: number, warn: (message: string) => void): void {
  const file = init.open('/proc/self/oom_score_adj', O_WRONLY);
  try {
    init.write(file, String(score));
  } catch (error) {
    if (!hasErrno(error, 'EACCES', 'EPERM')) throw error;
    warn('the OOM score could not be lowered: that takes CAP_SYS_RESOURCE');
  } finally {
    init.close(file);
  }
}
