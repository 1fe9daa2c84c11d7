/** /dev: a file system of our own with the few devices that programs need, and links. */
import { posix } from 'node:path';
import { makedev, S_IFBLK, S_IFCHR } from '../../sys/files.ts';
import { hasErrno } from '../../sys/libc.ts';
import { MS_BIND } from '../../sys/mount-api.ts';
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

/** Fills the /dev that was mounted. The umask must be 0. */
export function makeDevices(root: Rootfs, devices: readonly DeviceSpec[]): void {
  const { init } = root;
  const dev = root.open('/dev', 'refuse')!;
  try {
    for (const device of devices) makeDevice(root, dev, device);
    for (const [target, name] of LINKS) init.symlinkAt(target, dev, name);
    if (has(root, '/proc/kcore')) init.symlinkAt('/proc/kcore', dev, 'core');
  } finally {
    init.close(dev);
  }
}

function has(root: Rootfs, path: string): boolean {
  const fd = root.open(path, 'refuse');
  if (fd !== undefined) root.init.close(fd);
  return fd !== undefined;
}

/** @param dev /dev, where most of them are */
function makeDevice(root: Rootfs, dev: number, device: DeviceSpec): void {
  const inDev = posix.dirname(device.path) === '/dev';
  const parent = inDev ? dev : root.ensureParent(device.path, 'refuse');
  const name = posix.basename(device.path);
  try {
    const type = device.type === 'b' ? S_IFBLK : S_IFCHR;
    root.init.mknodAt(parent, name, type | device.mode, makedev(device.major, device.minor));
    if (device.uid !== 0 || device.gid !== 0) root.init.chownAt(parent, name, device.uid, device.gid);
  } catch (error) {
    // In a user namespace no device can be made: the host's own is bound instead.
    if (!hasErrno(error, 'EPERM')) throw error;
    bindDevice(root, device);
  } finally {
    if (!inDev) root.init.close(parent);
  }
}

function bindDevice(root: Rootfs, device: DeviceSpec): void {
  const target = root.ensure(device.path, 'file', 'refuse');
  try {
    root.init.mount(device.source ?? device.path, pathOf(target), '', MS_BIND);
  } finally {
    root.init.close(target);
  }
}

/** The container's own /dev/null, proven to be one: what hides files must not lead elsewhere (CVE-2025-31133). */
export function openNull(root: Rootfs): number {
  const fd = root.open('/dev/null', 'refuse');
  if (fd !== undefined) {
    const { type, major, minor } = root.init.statFd(fd);
    if (type === S_IFCHR && major === 1 && minor === 3) return fd;
    root.init.close(fd);
  }
  throw new LaunchError(125, 'FAILED', '/dev/null in the container is no null device');
}
