/** Runs one container from its spec to its end: what a foreground `run` and a watcher have in common. */
import { closeSync } from 'node:fs';
import type { FileLock } from '../sys/locks.ts';
import type { WindowSize } from '../sys/pty.ts';
import type { InitProcess, LaunchHooks } from './boot.ts';
import { type ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import { createCgroups } from './cgroups/create.ts';
import type { ContainerStore } from './container-store.ts';
import type { ExitResult } from './launcher.ts';
import type { ContainerTask } from './protocol.ts';
import { compileProfile } from './seccomp/compile.ts';
import type { ContainerSpec } from './spec.ts';
import { openContainerMounts, writeMappings } from './user-namespace.ts';

export interface SuperviseOptions extends LaunchHooks {
  readonly store: ContainerStore;
  readonly spec: ContainerSpec;
  /** The container's own, from ContainerStore.add; released at its end. */
  readonly lock: FileLock;
  readonly init: InitProcess;
  readonly windowSize?: WindowSize | undefined;
  /** Whether its end must be known after the machine's. */
  readonly durable: boolean;
}

/**
 * Resolves when the program runs; `exited` when it has ended and everything of it is gone but its state and log.
 * After a failure nothing is left, not even these.
 */
export async function supervise(options: SuperviseOptions): Promise<{ exited: Promise<ExitResult> }> {
  const { store, spec, lock, init } = options;
  let cgroups: ContainerCgroups | undefined;
  try {
    cgroups = await createCgroups(cgroupPath(spec), spec.resources);
    await launch(options, cgroups);
  } catch (error) {
    init.child.kill('SIGKILL');
    await init.ended;
    await cgroups?.remove();
    store.remove(spec.id);
    lock[Symbol.dispose]();
    throw error;
  }
  const startedAt = new Date().toISOString();
  const { pid, startTime } = init;
  const identity = { pid, ...(startTime !== undefined && { startTime }), watcher: process.pid };
  store.writeState(spec.id, { status: 'running', ...identity, startedAt });
  const finish = async (): Promise<ExitResult> => {
    const { exitCode, signal } = await init.ended;
    const result: ExitResult = { exitCode, oomKilled: cgroups.oomKills() > 0, ...(signal && { signal }) };
    await bury(spec, cgroups);
    const finishedAt = new Date().toISOString();
    store.writeState(spec.id, { status: 'exited', ...result, startedAt, finishedAt }, options.durable);
    lock[Symbol.dispose]();
    return result;
  };
  return { exited: finish() };
}

async function launch(options: SuperviseOptions, cgroups: ContainerCgroups): Promise<void> {
  const { init, spec, store } = options;
  await init.ready();
  const mounts: number[] = [];
  const members = cgroups.openMembers();
  try {
    if (spec.userNamespace) {
      writeMappings(init.pid, spec.userNamespace);
      mounts.push(...openContainerMounts(spec, store.paths(spec.id), init.pid));
    }
    await init.launch(containerTask(options, cgroups, mounts.length), [...mounts, ...members], options);
  } finally {
    for (const file of [...mounts, ...members]) closeSync(file);
  }
}

/** A PID namespace ends with its first process; in the host's, the cgroup tells who is left. */
export async function bury(spec: ContainerSpec, cgroups: ContainerCgroups): Promise<void> {
  if (!spec.namespaces.some(({ type, path }) => type === 'pid' && path === undefined)) await cgroups.killAll();
  await cgroups.remove();
}

function containerTask(options: SuperviseOptions, cgroups: ContainerCgroups, passedMounts: number): ContainerTask {
  const { spec, store, windowSize } = options;
  const { rootfs, files } = store.paths(spec.id);
  const { seccomp } = spec.process;
  return {
    task: 'container',
    process: spec.process,
    spec,
    rootfsDirectory: rootfs,
    filesDirectory: files,
    cgroups: cgroups.binds,
    cgroupFiles: cgroups.places.length,
    passedMounts,
    ...(seccomp && { filter: compileProfile(seccomp).toString('base64') }),
    ...(windowSize && { windowSize }),
  };
}
