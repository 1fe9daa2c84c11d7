/** Performs a container's mounts inside its rootfs, each on a target that was resolved there first. */
import { closeSync, existsSync, statSync, symlinkSync } from 'node:fs';
import { hasErrno } from '../../sys/libc.ts';
import {
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
import type { ContainerTask } from '../protocol.ts';
import type { MountSpec } from '../spec.ts';
import { parseMountOptions } from './mount-options.ts';
import { pathOf, type Rootfs, refuseProc } from './rootfs.ts';

/** File systems that the launcher itself puts in place: there, an image's symbolic link can only be a trap. */
const SYSTEM_TYPES = new Set(['proc', 'sysfs', 'devpts', 'mqueue', 'cgroup']);

export function performMount(root: Rootfs, spec: MountSpec, task: ContainerTask): void {
  if (spec.type === 'bind') bindInto(root, spec);
  else if (spec.type === 'file') bindGenerated(root, spec, task.filesDirectory);
  else if (spec.type === 'cgroup') mountCgroups(root, spec, task.cgroups);
  else mountFileSystem(root, spec);
}

function mountFileSystem(root: Rootfs, spec: MountSpec): void {
  const links = SYSTEM_TYPES.has(spec.type) || spec.destination === '/dev' ? 'refuse' : 'follow';
  const { flags, data, propagation } = parseMountOptions(spec.options);
  withTarget(root.ensure(spec.destination, 'directory', links), (target) => {
    if (links === 'follow') refuseProc(target, spec.destination);
    mount(spec.source, pathOf(target), spec.type, flags, data);
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

function bindInto(root: Rootfs, spec: MountSpec): void {
  const { attributes, flags, recursive, propagation } = parseMountOptions(spec.options);
  const kind = statSync(spec.source).isDirectory() ? 'directory' : 'file';
  withTarget(root.ensure(spec.destination, kind, 'follow'), (target) => {
    refuseProc(target, spec.destination);
    mount(spec.source, pathOf(target), '', MS_BIND | (recursive ? MS_REC : 0));
  });
  setPropagation(root, spec.destination, propagation);
  if (attributes) restrict(root, spec.destination, attributes, flags, recursive);
}

/** A read-only image without the file has none: there is nothing to mount on. */
function bindGenerated(root: Rootfs, spec: MountSpec, directory: string): void {
  const source = `${directory}/${spec.source}`;
  if (existsSync(source)) bindInto(root, { ...spec, type: 'bind', source });
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
function mountCgroups(root: Rootfs, spec: MountSpec, cgroups: ContainerTask['cgroups']): void {
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
