/** What is true of containers now, whatever became of those who watched them. */
import { readlinkSync } from 'node:fs';
import { TslayerError } from '../errors.ts';
import { hasErrno } from '../sys/libc.ts';
import { ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import type { ContainerRecord, ContainerStore, StoredState } from './container-store.ts';
import type { Container, ContainerState } from './launcher.ts';
import { releaseRootfs } from './runtime.ts';
import { releaseStages } from './stages.ts';

/** 128 + SIGKILL: what the kernel did to it when its watcher died. */
const KILLED = 137;

/** All of them, oldest first; the dead are declared so, and what they left is cleaned up. */
export async function listContainers(store: ContainerStore): Promise<Container[]> {
  store.sweep();
  const containers: Container[] = [];
  for (const record of store.list()) containers.push(await describe(store, record));
  return containers;
}

export async function describe(store: ContainerStore, record: ContainerRecord): Promise<Container> {
  const { spec, createdAt } = record;
  const stored = await settle(store, record);
  const { watcher: _, startTime: __, ...state } = stored;
  const base = { id: spec.id, name: spec.name, image: spec.image, createdAt, spec };
  if (stored.status !== 'running' || stored.pid === undefined) return { ...base, state };
  const cgroups = ContainerCgroups.find(cgroupPath(spec));
  const shown: ContainerState = cgroups.isFrozen() ? { ...state, status: 'paused' } : state;
  return { ...base, state: shown, namespaces: namespacesOf(stored.pid), cgroups: cgroups.directories };
}

/**
 * The state, made true: one that says `running` while nobody holds the lock belongs to a watcher that was killed.
 * The kernel has killed the container with it; what remains is buried here.
 */
export async function settle(store: ContainerStore, { spec }: ContainerRecord): Promise<StoredState> {
  const state = store.readState(spec.id);
  if (state.status === 'exited') return state;
  using held = store.tryLock(spec.id);
  if (!held) return state;
  // It may have ended properly since it was read.
  const now = store.readState(spec.id);
  if (now.status === 'exited') return now;
  const cgroups = ContainerCgroups.find(cgroupPath(spec));
  const oomKilled = cgroups.oomKills() > 0;
  await cgroups.killAll();
  await cgroups.remove();
  // On the host only for other runtimes, or for a moment.
  releaseRootfs(store.paths(spec.id));
  releaseStages(store.stages, spec.id);
  const dead: StoredState = {
    status: 'exited',
    exitCode: KILLED,
    signal: 'SIGKILL',
    oomKilled,
    error: now.status === 'running' ? 'its watcher was killed, and it with it' : 'its launcher was killed',
    ...(now.startedAt && { startedAt: now.startedAt }),
    finishedAt: new Date().toISOString(),
  };
  try {
    store.writeState(spec.id, dead);
  } catch (error) {
    // Somebody removed it meanwhile: it is as dead, and there is nothing to note that in.
    if (!hasErrno(error, 'ENOENT')) throw error;
  }
  return dead;
}

const KINDS = ['mnt', 'uts', 'ipc', 'pid', 'net', 'user', 'cgroup'];

function namespacesOf(pid: number): Record<string, string> {
  const found: Record<string, string> = {};
  for (const kind of KINDS) {
    try {
      found[kind] = readlinkSync(`/proc/${pid}/ns/${kind}`);
    } catch (error) {
      if (!hasErrno(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) throw error;
    }
  }
  return found;
}

/** A container that runs, with what is needed to reach its first process. IN_USE when it does not run. */
export async function running(
  store: ContainerStore,
  name: string,
): Promise<{ record: ContainerRecord; pid: number; startTime: number }> {
  const record = store.find(name);
  const { status, pid, startTime } = await settle(store, record);
  if (status === 'running' && pid !== undefined && startTime !== undefined) return { record, pid, startTime };
  throw new TslayerError('IN_USE', `the container ${record.spec.name} is not running`);
}
