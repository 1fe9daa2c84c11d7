/**
 * Image files that a rootfs is made of stay mounted on the host while containers use them, so that all containers of
 * an image read it through one page cache. The init process, in its copy of the host's mounts, finds them there.
 */
import { existsSync } from 'node:fs';
import type { Mount } from '../mounts/mount.ts';
import { acquireStage, claimStages, dropClaim, lockStages, sweepStages } from '../mounts/shared-stages.ts';

/** Mounts what of the list can be shared, in the store's directory of stages. False when nothing can. */
export function holdStages(mounts: readonly Mount[], directory: string, container: string): boolean {
  const shared = mounts.flatMap((mount) =>
    mount.stage === undefined || mount.type === 'bind' ? [] : [{ mount, stage: mount.stage }],
  );
  if (shared.length === 0) return false;
  using _lock = lockStages(directory);
  const stages = shared.map(({ stage }) => stage);
  claimStages(directory, container, stages);
  for (const { mount, stage } of shared) {
    // Owners are shifted in a copy of it.
    const options = mount.options.filter((option) => !option.startsWith('idmap='));
    acquireStage(directory, stage, { ...mount, options });
  }
  return true;
}

/** Takes those away that nothing uses any more. */
export function releaseStages(directory: string, container: string): void {
  if (!existsSync(directory)) return;
  dropClaim(directory, container);
  sweepStages(directory);
}
