/** Paths that a container must not read (masked) or write (read-only): mostly of /proc and /sys. */
import { S_IFDIR } from '../../sys/files.ts';
import { MOUNT_ATTR_RDONLY, MS_BIND, MS_RDONLY, MS_REC } from '../../sys/mount-api.ts';
import { openNull } from './devices.ts';
import { restrictAt } from './mounts.ts';
import { pathOf, type Rootfs } from './rootfs.ts';

/** Puts an empty read-only directory or /dev/null over each path that is there. */
export function maskPaths(root: Rootfs, paths: readonly string[]): void {
  if (paths.length === 0) return;
  const { init } = root;
  const nullDevice = openNull(root);
  const targets = root.openAll(paths);
  const types = init.statFds(targets.map(({ fd }) => fd));
  for (const [i, { path, fd }] of targets.entries()) {
    init.during(`cannot mask ${path}`, () => {
      if (types[i]?.type === S_IFDIR) init.mount('tmpfs', pathOf(fd), 'tmpfs', MS_RDONLY, 'nr_inodes=1,size=0');
      else init.mount(pathOf(nullDevice), pathOf(fd), '', MS_BIND);
      init.close(fd);
    });
  }
  init.close(nullDevice);
}

export function protectPaths(root: Rootfs, paths: readonly string[]): void {
  const { init } = root;
  const below = root.openAll(paths);
  for (const { path, fd } of below) {
    init.during(`cannot make ${path} read-only`, () => {
      init.mount(pathOf(fd), pathOf(fd), '', MS_BIND | MS_REC);
      init.close(fd);
    });
  }
  // What lies there now: the mounts.
  const above = root.openAll(below.map(({ path }) => path));
  for (const { path, fd } of above) {
    init.during(`cannot make ${path} read-only`, () => {
      restrictAt(init, fd, '', { attributes: MOUNT_ATTR_RDONLY, flags: MS_RDONLY, recursive: true });
      init.close(fd);
    });
  }
}
