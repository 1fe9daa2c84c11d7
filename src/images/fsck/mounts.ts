/** Mounts: rows against the kernel's table. */
import type { StoreContext } from '../context.ts';
import { listMounts, unmountImage } from '../mount.ts';
import type { Finding } from './finding.ts';

export async function* checkMounts(context: StoreContext): AsyncIterable<Finding> {
  for (const mount of await listMounts(context)) {
    if (mount.state === 'mounted') continue;
    yield {
      kind: 'mount',
      subject: mount.name,
      message: `nothing is mounted at ${mount.target}`,
      repair: async () => {
        // What was written stays: mounting by this name shows it again.
        await unmountImage(context, mount.name, { keep: !mount.readOnly });
        return mount.readOnly ? 'dropped' : `forgot the mountpoint, kept the snapshot ${mount.name}`;
      },
    };
  }
  const { readMountInfo } = await import('../../mounts/mountinfo.ts');
  const known = new Set(context.metadata.mounts.list().map((row) => row.target));
  for (const { mountPoint } of readMountInfo()) {
    if (!mountPoint.startsWith(`${context.paths.mounts}/`) || known.has(mountPoint)) continue;
    yield {
      kind: 'mount',
      subject: mountPoint,
      message: 'no row knows what is mounted here',
      repair: async () => {
        const { unmount } = await import('../../mounts/unmount.ts');
        unmount(mountPoint, { stages: context.paths.stages });
        return 'unmounted';
      },
    };
  }
}
