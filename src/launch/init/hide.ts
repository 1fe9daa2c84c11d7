/** Paths that a container must not read (masked) or write (read-only): mostly of /proc and /sys. */
import { S_IFDIR } from '../../sys/files.ts';
import { MOUNT_ATTR_RDONLY, MS_BIND, MS_RDONLY, MS_REC } from '../../sys/mount-api.ts';
import { openNull } from './devices.ts';
import { restrict } from './mounts.ts';
import { pathOf, type Rootfs } from './rootfs.ts';

/** Puts an empty read-only directory or /dev/null over each path that is there. */
export function maskPaths(root: Rootfs, paths: readonly string[]): void {
  if (paths.length === 0) return;
  const { init } = root;
  const nullDevice = openNull(root);
  for (const path of paths) {
    const target = root.open(path, 'refuse');
    if (target === undefined) continue;
    const isDirectory = init.statFd(target).type === S_IFDIR;
    if (isDirectory) init.mount('tmpfs', pathOf(target), 'tmpfs', MS_RDONLY, 'nr_inodes=1,size=0');
    else init.mount(pathOf(nullDevice), pathOf(target), '', MS_BIND);
    init.close(target);
  }
  init.close(nullDevice);
}

export function protectPaths(root: Rootfs, paths: readonly string[]): void {
  for (const path of paths) {
    const target = root.open(path, 'refuse');
    if (target === undefined) continue;
    root.init.mount(pathOf(target), pathOf(target), '', MS_BIND | MS_REC);
    root.init.close(target);
    restrict(root, path, { attributes: MOUNT_ATTR_RDONLY, flags: MS_RDONLY, recursive: true });
  }
}
