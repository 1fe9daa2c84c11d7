/** The cgroup hierarchies of this machine, found by what is mounted: cgroups(7). Either version, or both at once. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type MountInfo, readMountInfo } from '../../mounts/mountinfo.ts';

export interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountpoint: string;
  /** What is attached: `cpu`, `cpuacct`, … on v1; the controllers on v2, by the kernel's names there (`io`). */
  readonly subsystems: readonly string[];
}

/** Options of a v1 hierarchy that are no subsystems. */
const NOT_SUBSYSTEMS = /^(rw|ro|xattr|noprefix|clone_children|release_agent=.*|name=.*|.*favordynmods)$/;

/** @param controllers of a version 2 hierarchy, by its mountpoint */
export function findHierarchies(
  mounts: readonly MountInfo[] = readMountInfo('self'),
  controllers: (mountpoint: string) => readonly string[] = readControllers,
): Hierarchy[] {
  const found = mounts
    .filter(({ type }) => type === 'cgroup' || type === 'cgroup2')
    .map(({ type, mountPoint, superOptions }): Hierarchy => {
      if (type === 'cgroup2') return { version: 2, mountpoint: mountPoint, subsystems: controllers(mountPoint) };
      const subsystems = superOptions.filter((option) => !NOT_SUBSYSTEMS.test(option));
      return { version: 1, mountpoint: mountPoint, subsystems };
    });
  // A hierarchy that is mounted twice counts once, at the first place.
  const key = ({ version, subsystems }: Hierarchy): string => `${version} ${version === 2 ? '' : subsystems.join()}`;
  return [...new Map(found.toReversed().map((each) => [key(each), each])).values()].toReversed();
}

function readControllers(mountpoint: string): string[] {
  try {
    return words(readFileSync(join(mountpoint, 'cgroup.controllers'), 'utf8'));
  } catch {
    return [];
  }
}

export function words(text: string): string[] {
  return text.split(/\s+/).filter(Boolean);
}

/** What a container is placed in: for limits, for counting, or to be stopped. */
const WANTED_V1 = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'net_cls',
  'perf_event',
];
const WANTED_V2 = ['cpu', 'cpuset', 'memory', 'io', 'pids'];

/** The hierarchies that a container gets cgroups in. Version 2 without controllers serves where there is no other. */
export function wantedHierarchies(all: readonly Hierarchy[]): Hierarchy[] {
  const wanted = all.filter(({ version, subsystems }) =>
    subsystems.some((name) => (version === 1 ? WANTED_V1 : WANTED_V2).includes(name)),
  );
  return wanted.length > 0 ? wanted : all.filter(({ version }) => version === 2);
}
