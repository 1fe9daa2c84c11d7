/** Paths that a container must not read (masked) or write (read-only): mostly of /proc and /sys. */
import { closeSync, fstatSync } from 'node:fs';
import { MOUNT_ATTR_RDONLY, MS_BIND, MS_RDONLY, MS_REC, mount } from '../../sys/mount-api.ts';
import { openNull } from './devices.ts';
import { restrict } from './mounts.ts';
import { pathOf, type Rootfs } from './rootfs.ts';

/** Puts an empty read-only directory or /dev/null over each path that is there. */
export function maskPaths(root: Rootfs, paths: readonly string[]): void {
  if (paths.length === 0) return;
  const nullDevice = openNull(root);
  for (const path of paths) {
    const target = root.open(path, 'refuse');
    if (target === undefined) continue;
    if (fstatSync(target).isDirectory()) mount('tmpfs', pathOf(target), 'tmpfs', MS_RDONLY, 'nr_inodes=1,size=0');
    else mount(pathOf(nullDevice), pathOf(target), '', MS_BIND);
    closeSync(target);
  }
  closeSync(nullDevice);
}

export function protectPaths(root: Rootfs, paths: readonly string[]): void {
  for (const path of paths) {
    const target = root.open(path, 'refuse');
    if (target === undefined) continue;
    mount(pathOf(target), pathOf(target), '', MS_BIND | MS_REC);
    closeSync(target);
    restrict(root, path, MOUNT_ATTR_RDONLY, MS_RDONLY, true);
  }
}
