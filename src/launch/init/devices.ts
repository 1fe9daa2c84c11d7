/** /dev: a file system of our own with the few devices that programs need, and links. */
import { closeSync, fstatSync } from 'node:fs';
import { posix } from 'node:path';
import { chownAt, mknodAt, symlinkAt } from '../../sys/at.ts';
import { majorOf, makedev, minorOf, S_IFBLK, S_IFCHR } from '../../sys/files.ts';
import { hasErrno } from '../../sys/libc.ts';
import { MS_BIND, mount } from '../../sys/mount-api.ts';
import { LaunchError } from '../errors.ts';
import type { DeviceSpec } from '../spec.ts';
import { pathOf, type Rootfs } from './rootfs.ts';

const LINKS: readonly (readonly [string, string])[] = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['pts/ptmx', 'ptmx'],
];

/** Fills the /dev that was mounted. The caller's umask must be 0. */
export function makeDevices(root: Rootfs, devices: readonly DeviceSpec[]): void {
  for (const device of devices) makeDevice(root, device);
  const dev = root.open('/dev', 'refuse')!;
  try {
    for (const [target, name] of LINKS) symlinkAt(target, dev, name);
    if (has(root, '/proc/kcore')) symlinkAt('/proc/kcore', dev, 'core');
  } finally {
    closeSync(dev);
  }
}

function has(root: Rootfs, path: string): boolean {
  const fd = root.open(path, 'refuse');
  if (fd !== undefined) closeSync(fd);
  return fd !== undefined;
}

function makeDevice(root: Rootfs, device: DeviceSpec): void {
  const parent = root.ensureParent(device.path, 'refuse');
  const name = posix.basename(device.path);
  try {
    const type = device.type === 'b' ? S_IFBLK : S_IFCHR;
    mknodAt(parent, name, type | device.mode, makedev(device.major, device.minor));
    if (device.uid !== 0 || device.gid !== 0) chownAt(parent, name, device.uid, device.gid);
  } catch (error) {
    // In a user namespace no device can be made: the host's own is bound instead.
    if (!hasErrno(error, 'EPERM')) throw error;
    bindDevice(root, device);
  } finally {
    closeSync(parent);
  }
}

function bindDevice(root: Rootfs, device: DeviceSpec): void {
  const target = root.ensure(device.path, 'file', 'refuse');
  try {
    mount(device.source ?? device.path, pathOf(target), '', MS_BIND);
  } finally {
    closeSync(target);
  }
}

/** The container's own /dev/null, proven to be one: what hides files must not lead elsewhere (CVE-2025-31133). */
export function openNull(root: Rootfs): number {
  const fd = root.open('/dev/null', 'refuse');
  if (fd !== undefined) {
    const { mode, rdev } = fstatSync(fd);
    if ((mode & S_IFCHR) === S_IFCHR && majorOf(rdev) === 1 && minorOf(rdev) === 3) return fd;
    closeSync(fd);
  }
  throw new LaunchError(125, 'FAILED', '/dev/null in the container is no null device');
}
