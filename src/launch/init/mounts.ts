/** Performs a container's mounts inside its rootfs, each on a target that was resolved there first. */
import { closeSync, fstatSync, statSync, symlinkSync } from 'node:fs';
import { asTslayerError } from '../../errors.ts';
import { hasErrno } from '../../sys/libc.ts';
import {
  attachMountAt,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_RDONLY,
  MS_BIND,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  mount,
  setMountAttributes,
} from '../../sys/mount-api.ts';
import type { Placement } from '../protocol.ts';
import type { MountSpec } from '../spec.ts';
import { parseMountOptions } from './mount-options.ts';
import { pathOf, type Rootfs, refuseProc } from './rootfs.ts';

/** File systems that the launcher itself puts in place: there, an image's symbolic link can only be a trap. */
const SYSTEM_TYPES = new Set(['proc', 'sysfs', 'devpts', 'mqueue']);

/** What mounts need to know beyond themselves. */
export interface MountContext {
  /** Where the generated files are. */
  readonly files: string;
  /** Detached mounts for the binds, in order; undefined: they are made here. */
  readonly passed: number[] | undefined;
}

export function performMount(root: Rootfs, spec: MountSpec, context: MountContext): void {
  try {
    if (!isBind(spec)) mountFileSystem(root, spec);
    else if (context.passed) bindPassed(root, spec, context.passed.shift());
    else bindPath(root, spec, context.files);
  } catch (error) {
    throw asTslayerError(error, `cannot mount ${spec.source} at ${spec.destination}`);
  }
}

/** `file`: one of the generated ones. */
export function isBind({ type }: MountSpec): boolean {
  return type === 'bind' || type === 'file';
}

function mountFileSystem(root: Rootfs, spec: MountSpec): void {
  const links = SYSTEM_TYPES.has(spec.type) || spec.destination === '/dev' ? 'refuse' : 'follow';
  const { flags, data, propagation } = parseMountOptions(spec.options);
  withTarget(root.ensure(spec.destination, 'directory', links), (target) => {
    if (links === 'follow') refuseProc(target, spec.destination);
    try {
      mount(spec.source, pathOf(target), spec.type, flags, data);
    } catch (error) {
      // A user namespace may mount what tells of its own processes and network only. Of the host's, it sees what its
      // caller saw.
      if (!['sysfs', 'proc', 'mqueue'].includes(spec.type) || !hasErrno(error, 'EPERM')) throw error;
      mount(spec.destination, pathOf(target), '', MS_BIND | MS_REC);
    }
  });
  if (propagation) setPropagation(root, spec.destination, propagation);
}

function withTarget(target: number, use: (target: number) => void): void {
  try {
    use(target);
  } finally {
    closeSync(target);
  }
}

function bindPath(root: Rootfs, spec: MountSpec, files: string): void {
  const source = spec.type === 'file' ? `${files}/${spec.source}` : spec.source;
  const kind = statSync(source).isDirectory() ? 'directory' : 'file';
  const { recursive } = parseMountOptions(spec.options);
  withTarget(root.ensure(spec.destination, kind, 'follow'), (target) => {
    refuseProc(target, spec.destination);
    mount(source, pathOf(target), '', MS_BIND | (recursive ? MS_REC : 0));
  });
  adjustBind(root, spec);
}

function bindPassed(root: Rootfs, spec: MountSpec, mountFd: number | undefined): void {
  if (mountFd === undefined) throw new Error(`no mount was passed for ${spec.destination}`);
  const kind = fstatSync(mountFd).isDirectory() ? 'directory' : 'file';
  withTarget(root.ensure(spec.destination, kind, 'follow'), (target) => {
    refuseProc(target, spec.destination);
    attachMountAt(mountFd, target);
  });
  closeSync(mountFd);
  adjustBind(root, spec);
}

function adjustBind(root: Rootfs, spec: MountSpec): void {
  const { attributes, flags, recursive, propagation } = parseMountOptions(spec.options);
  if (propagation) setPropagation(root, spec.destination, propagation);
  if (attributes) restrict(root, spec.destination, attributes, flags, recursive);
}

function setPropagation(root: Rootfs, path: string, propagation: number): void {
  withTarget(root.open(path, 'follow')!, (fd) => mount('', pathOf(fd), '', propagation));
}

/** Adds restrictions to a mount: by attributes, and on kernels before 5.12 by a remount. */
export function restrict(root: Rootfs, path: string, attributes: number, flags: number, recursive: boolean): void {
  withTarget(root.open(path, 'follow')!, (fd) => {
    try {
      setMountAttributes(fd, { set: attributes }, recursive);
    } catch (error) {
      if (!hasErrno(error, 'ENOSYS')) throw error;
      mount('', pathOf(fd), '', MS_REMOUNT | MS_BIND | flags);
    }
  });
}

const CGROUP_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
const CGROUP_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;

/**
 * The container's own cgroups, bound: from the cgroup namespace that is made later each looks like a hierarchy's
 * root. One nameless cgroup of version 2 takes the whole place.
 */
export function mountCgroups(root: Rootfs, spec: MountSpec, cgroups: Placement['cgroups']): void {
  const [first] = cgroups;
  if (first === undefined) return;
  const bind = (directory: string, path: string): void => {
    withTarget(root.ensure(path, 'directory', 'refuse'), (fd) => mount(directory, pathOf(fd), '', MS_BIND));
    restrict(root, path, CGROUP_ATTRIBUTES, CGROUP_FLAGS | MS_RDONLY, false);
  };
  if (first.name === undefined) {
    bind(first.directory, spec.destination);
    return;
  }
  withTarget(root.ensure(spec.destination, 'directory', 'refuse'), (fd) =>
    mount('tmpfs', pathOf(fd), 'tmpfs', CGROUP_FLAGS, 'mode=755,size=64k'),
  );
  for (const { name, directory } of cgroups) {
    bind(directory, `${spec.destination}/${name}`);
    linkSubsystems(root, spec.destination, name!);
  }
  restrict(root, spec.destination, MOUNT_ATTR_RDONLY, CGROUP_FLAGS | MS_RDONLY, false);
}

/** `cpu,cpuacct` is also reachable as `cpu` and as `cpuacct`, as programs expect. */
function linkSubsystems(root: Rootfs, directory: string, name: string): void {
  if (!name.includes(',')) return;
  withTarget(root.open(directory, 'refuse')!, (fd) => {
    for (const subsystem of name.split(',')) symlinkSync(name, `${pathOf(fd)}/${subsystem}`);
  });
}

/** The whole rootfs read-only; what is mounted on it stays as it is. */
export function makeReadOnly(root: Rootfs): void {
  restrict(root, '/', MOUNT_ATTR_RDONLY, MS_RDONLY, false);
}
