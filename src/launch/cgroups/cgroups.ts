/** One container's cgroups: a directory of the same path in each hierarchy. What can be done with them. */
import { existsSync, openSync, rmdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TslayerError } from '../../errors.ts';
import { hasErrno } from '../../sys/libc.ts';
import type { CgroupBind } from '../init/mounts.ts';
import type { ContainerSpec } from '../spec.ts';
import { killAll, readCgroup, readKeys, readNumber, removeCgroup, writeCgroup } from './files.ts';
import { findHierarchies, type Hierarchy } from './hierarchies.ts';

/** A hierarchy, and the container's directory in it. */
export interface Place {
  readonly hierarchy: Hierarchy;
  readonly directory: string;
}

export function placeOf(places: readonly Place[], subsystem: string, version?: 1 | 2): Place | undefined {
  return places.find(
    ({ hierarchy }) => hierarchy.subsystems.includes(subsystem) && (version ?? hierarchy.version) === hierarchy.version,
  );
}

const PATIENCE_MS = 10_000;

/** Where a container's cgroups are, from the root of each hierarchy. */
export function cgroupPath({ cgroupParent, id }: Pick<ContainerSpec, 'cgroupParent' | 'id'>): string {
  return `${cgroupParent === '/' ? '' : cgroupParent}/${id}`;
}

export class ContainerCgroups {
  readonly places: readonly Place[];

  constructor(places: readonly Place[]) {
    this.places = places;
  }

  /** Those that are there under a path from the hierarchies' roots: of a container that another process started. */
  static find(path: string): ContainerCgroups {
    const places = findHierarchies().map((hierarchy) => ({ hierarchy, directory: join(hierarchy.mountpoint, path) }));
    return new ContainerCgroups(places.filter(({ directory }) => existsSync(directory)));
  }

  get directories(): string[] {
    return this.places.map(({ directory }) => directory);
  }

  /** Files that take a process in by a `0`; the caller closes them. Version 1 moves threads one by one. */
  openMembers(): number[] {
    return this.places.map(({ hierarchy, directory }) =>
      openSync(join(directory, hierarchy.version === 1 ? 'tasks' : 'cgroup.procs'), 'w'),
    );
  }

  /** As the init process binds them into the container. */
  get binds(): readonly CgroupBind[] {
    const [only] = this.places;
    if (this.places.length === 1 && only?.hierarchy.version === 2) return [{ directory: only.directory }];
    return this.places.map(({ hierarchy, directory }) => ({ name: basename(hierarchy.mountpoint), directory }));
  }

  /** How many processes the kernel killed here for want of memory. */
  oomKills(): number {
    const memory = placeOf(this.places, 'memory');
    if (!memory) return 0;
    const file = memory.hierarchy.version === 1 ? 'memory.oom_control' : 'memory.events';
    return readKeys(memory.directory, file).get('oom_kill') ?? 0;
  }

  get #freezer(): Place | undefined {
    return placeOf(this.places, 'freezer', 1) ?? this.places.find(({ hierarchy }) => hierarchy.version === 2);
  }

  isFrozen(): boolean {
    const freezer = this.#freezer;
    if (!freezer) return false;
    const { hierarchy, directory } = freezer;
    if (hierarchy.version === 2) return readNumber(directory, 'cgroup.freeze') === 1;
    return readCgroup(directory, 'freezer.state') !== 'THAWED';
  }

  /** Stops or continues every process; resolves when the last one is stopped, or goes on. */
  async freeze(frozen: boolean): Promise<void> {
    const freezer = this.#freezer;
    if (!freezer) throw new TslayerError('UNSUPPORTED', 'pausing needs the freezer subsystem, or cgroup version 2');
    const { hierarchy, directory } = freezer;
    const deadline = Date.now() + PATIENCE_MS;
    do {
      // Version 1 wants to be told again while processes fork away from it.
      if (hierarchy.version === 2) writeCgroup(directory, 'cgroup.freeze', frozen ? '1' : '0');
      else writeCgroup(directory, 'freezer.state', frozen ? 'FROZEN' : 'THAWED');
      if (isSettled(freezer, frozen)) return;
      await delay(2);
    } while (Date.now() < deadline);
    throw new TslayerError('FAILED', `the container did not ${frozen ? 'freeze' : 'thaw'} in ${PATIENCE_MS / 1000} s`);
  }

  /** Ends what may be left, for containers whose PID namespace did not end with their first process. */
  killAll(): Promise<void> {
    return killAll(this.directories);
  }

  async remove(): Promise<void> {
    for (const { hierarchy, directory } of this.places) {
      await removeCgroup(directory);
      removeDefaultParent(hierarchy, dirname(directory));
    }
  }
}

function isSettled({ hierarchy, directory }: Place, frozen: boolean): boolean {
  if (hierarchy.version === 2) return readKeys(directory, 'cgroup.events').get('frozen') === (frozen ? 1 : 0);
  return readCgroup(directory, 'freezer.state') === (frozen ? 'FROZEN' : 'THAWED');
}

/** For a container whose cgroups somebody else has removed already, and not their parents. */
export function removeDefaultParents(path: string): void {
  for (const hierarchy of findHierarchies()) removeDefaultParent(hierarchy, dirname(join(hierarchy.mountpoint, path)));
}

/** The default parent goes with its last container; one that the user named is the user's. */
function removeDefaultParent(hierarchy: Hierarchy, parent: string): void {
  if (parent !== join(hierarchy.mountpoint, 'tslayer')) return;
  try {
    rmdirSync(parent);
  } catch (error) {
    if (!hasErrno(error, 'EBUSY', 'ENOTEMPTY', 'ENOENT')) throw error;
  }
}
