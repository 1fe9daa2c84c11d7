/** /dev: a file system of our own with the few devices that programs need, and links. */
import { posix } from 'node:path';
import { makedev, S_IFBLK, S_IFCHR } from '../../sys/files.ts';
import { errnos, SystemCallError } from '../../sys/libc.ts';
import { MS_BIND } from '../../sys/mount-api.ts';
import type { RemoteNode } from '../../sys/remote/files.ts';
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

/**
 * Fills the /dev that was mounted; `directories` are to be mounted on later. The umask must be 0. Names in /dev itself
 * lead nowhere else: it is our own and new.
 */
export function makeDevices(root: Rootfs, devices: readonly DeviceSpec[], directories: readonly string[]): void {
  const { init } = root;
  const dev = root.open('/dev', 'refuse')!;
  init.during('cannot fill /dev', () => {
    for (const directory of directories) init.mkdirAt(dev, posix.basename(directory), 0o755);
    for (const [target, name] of LINKS) init.symlinkAt(target, dev, name);
    if (has(root, '/proc/kcore')) init.symlinkAt('/proc/kcore', dev, 'core');
    const [inDev, others] = [devices.filter(isInDev), devices.filter((device) => !isInDev(device))];
    makeNodes(root, dev, inDev);
    for (const device of others) {
      const parent = root.ensureParent(device.path, 'refuse');
      makeNodes(root, parent, [device]);
      init.close(parent);
    }
    init.close(dev);
  });
}

const isInDev = ({ path }: DeviceSpec): boolean => posix.dirname(path) === '/dev';

function has(root: Rootfs, path: string): boolean {
  const fd = root.open(path, 'refuse');
  if (fd !== undefined) root.init.close(fd);
  return fd !== undefined;
}

function makeNodes(root: Rootfs, parent: number, devices: readonly DeviceSpec[]): void {
  const { init } = root;
  const nodes = devices.map(nodeOf);
  for (const [i, result] of init.tryMknodsAt(parent, nodes).entries()) {
    const [device, { name }] = [devices[i]!, nodes[i]!];
    // In a user namespace no device can be made: the host's own is bound instead.
    if (result === -errnos.EPERM) bindDevice(root, device);
    else if (result < 0) throw new SystemCallError('mknodat', -result, device.path);
    else if (device.uid !== 0 || device.gid !== 0) init.chownAt(parent, name, device.uid, device.gid);
  }
}

function nodeOf({ path, type, mode, major, minor }: DeviceSpec): RemoteNode {
  return { name: posix.basename(path), mode: (type === 'b' ? S_IFBLK : S_IFCHR) | mode, device: makedev(major, minor) };
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
