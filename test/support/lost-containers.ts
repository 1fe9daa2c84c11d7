/** What would not be there after a power loss: cgroups of containers whose records did not reach the disk. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ContainerCgroups, cgroupPath } from '../../src/launch/cgroups/cgroups.ts';
import type { LoopFs } from './loop-fs.ts';

/** Loses the power of a disk with a store, and all that a machine that comes up again would not have. */
export async function losePower(fs: LoopFs, storeRoot: string): Promise<void> {
  const before = containersIn(storeRoot);
  fs.losePower();
  const known = containersIn(storeRoot);
  for (const id of before.filter((id) => !known.includes(id))) {
    await ContainerCgroups.find(cgroupPath({ cgroupParent: '/tslayer', id })).remove();
  }
}

function containersIn(root: string): string[] {
  const path = join(root, 'containers');
  return existsSync(path) ? readdirSync(path).filter((name) => /^[0-9a-f]{12}$/.test(name)) : [];
}
