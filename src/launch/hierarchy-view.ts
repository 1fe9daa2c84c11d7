/** The primer's picture: hierarchies, the subsystems attached to each, and the containers in them. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupPath } from './cgroups/cgroups.ts';
import { processesIn } from './cgroups/files.ts';
import { findHierarchies } from './cgroups/hierarchies.ts';
import type { HierarchyView } from './cgroups/view.ts';
import type { ContainerStore } from './container-store.ts';
import { listContainers } from './inspect.ts';

export async function viewHierarchies(store: ContainerStore): Promise<HierarchyView[]> {
  const containers = await listContainers(store);
  return findHierarchies().map(({ version, mountpoint, subsystems }) => ({
    version,
    mountpoint,
    subsystems,
    containers: containers.flatMap(({ id, name, spec }) => {
      const cgroup = cgroupPath(spec);
      const directory = join(mountpoint, cgroup);
      return existsSync(directory) ? [{ id, name, cgroup, processes: processesIn(directory).length }] : [];
    }),
  }));
}
