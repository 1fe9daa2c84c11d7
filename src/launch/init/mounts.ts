/** Performs a container's mounts inside its rootfs, each on a target that was resolved there first. */
import { asTslayerError } from '../../errors.ts';
import { S_IFDIR } from '../../sys/files.ts';
import { hasErrno } from '../../sys/libc.ts';
import {
  hasMountAttributes,
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
} from '../../sys/mount-api.ts';
import { ProcessGone } from '../../sys/remote/calls.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import type { MountSpec } from '../spec.ts';
import { parseMountOptions } from './mount-options.ts';
import { pathOf, type Rootfs, refuseProc } from './rootfs.ts';

/** File systems that the launcher itself puts in place: there, an image's symbolic link can only be a trap. */
const SYSTEM_TYPES = new Set(['proc', 'sysfs', 'devpts', 'mqueue']);

/** What mounts need to know beyond themselves. */
export interface MountContext {
  /** Where the generated files are. */
  readonly files: string;
  /** Detached mounts for the binds, in order, open in the init process; undefined: it makes them itself. */
  readonly passed: number[] | undefined;
  readonly cgroups: readonly CgroupBind[];
}

/** One of the container's own cgroups, to be bound below /sys/fs/cgroup. No name: the only one, of version 2. */
export interface CgroupBind {
  readonly name?: string;
  readonly directory: string;
}

export function performMount(root: Rootfs, spec: MountSpec, context: MountContext): void {
  const doing = `cannot mount ${spec.source} at ${spec.destination}`;
  try {
    root.init.during(doing, () => performOne(root, spec, context));
  } catch (error) {
    if (error instanceof ProcessGone) throw error;
    throw asTslayerError(error, doing);
  }
}

function performOne(root: Rootfs, spec: MountSpec, context: MountContext): void {
  if (spec.type === 'cgroup') mountCgroups(root, spec, context.cgroups);
  else if (!isBind(spec)) mountFileSystem(root, spec);
  else if (context.passed) bindPassed(root, spec, context.passed.shift());
  else bindPath(root, spec, context.files);
}

/** `file`: one of the generated ones. */
export function isBind({ type }: Pick<MountSpec, 'type'>): boolean {
  return type === 'bind' || type === 'file';
}

function mountFileSystem(root: Rootfs, spec: MountSpec): void {
  const links = SYSTEM_TYPES.has(spec.type) || spec.destination === '/dev' ? 'refuse' : 'follow';
  const { flags, data, propagation } = parseMountOptions(spec.options);
  withTarget(root.init, root.ensure(spec.destination, 'directory', links), (target) => {
    if (links === 'follow') refuseProc(root.init, target, spec.destination);
    const mount = { source: spec.source, target: pathOf(target), type: spec.type, flags, data };
    if (['sysfs', 'proc', 'mqueue'].includes(spec.type)) mountOrBind(root.init, mount, spec.destination);
    else root.init.mount(mount.source, mount.target, mount.type, flags, data);
  });
  if (propagation) setPropagation(root, spec.destination, propagation);
}

interface MountCall {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

/**
 * A user namespace may mount what tells of its own processes, network and queues only. Of the host's, it sees what its
 * caller saw; others' queues it can name without seeing them.
 */
function mountOrBind(init: RemoteProcess, { source, target, type, flags, data }: MountCall, own: string): void {
  try {
    init.tryMount(source, target, type, flags, data);
  } catch (error) {
    if (!hasErrno(error, 'EPERM')) throw error;
    if (type !== 'mqueue') init.mount(own, target, '', MS_BIND | MS_REC);
  }
}

function withTarget(init: RemoteProcess, target: number, use: (target: number) => void): void {
  try {
    use(target);
  } finally {
    init.close(target);
  }
}

function bindPath(root: Rootfs, spec: MountSpec, files: string): void {
  const source = spec.type === 'file' ? `${files}/${spec.source}` : spec.source;
  const isDirectory = spec.type !== 'file' && root.init.stat(source).type === S_IFDIR;
  const kind = isDirectory ? 'directory' : 'file';
  const { recursive } = parseMountOptions(spec.options);
  withTarget(root.init, root.ensure(spec.destination, kind, 'follow'), (target) => {
    refuseProc(root.init, target, spec.destination);
    root.init.mount(source, pathOf(target), '', MS_BIND | (recursive ? MS_REC : 0));
  });
  adjustBind(root, spec);
}

function bindPassed(root: Rootfs, spec: MountSpec, mountFd: number | undefined): void {
  if (mountFd === undefined) throw new Error(`no mount was passed for ${spec.destination}`);
  const kind = root.init.statFd(mountFd).type === S_IFDIR ? 'directory' : 'file';
  withTarget(root.init, root.ensure(spec.destination, kind, 'follow'), (target) => {
    refuseProc(root.init, target, spec.destination);
    root.init.attachMountAt(mountFd, target);
  });
  root.init.close(mountFd);
  adjustBind(root, spec);
}

function adjustBind(root: Rootfs, spec: MountSpec): void {
  const { attributes, flags, recursive, propagation } = parseMountOptions(spec.options);
  if (propagation) setPropagation(root, spec.destination, propagation);
  if (attributes) restrict(root, spec.destination, { attributes, flags, recursive });
}

function setPropagation(root: Rootfs, path: string, propagation: number): void {
  withTarget(root.init, root.open(path, 'follow')!, (fd) => root.init.mount('', pathOf(fd), '', propagation));
}

/** What a mount is kept from: by attributes, and on kernels before 5.12 by a remount. */
export interface Restrictions {
  /** MOUNT_ATTR_* */
  readonly attributes: number;
  /** The same as MS_*. */
  readonly flags: number;
  readonly recursive?: boolean;
}

export function restrict(root: Rootfs, path: string, restrictions: Restrictions): void {
  withTarget(root.init, root.open(path, 'follow')!, (fd) => restrictAt(root.init, fd, '', restrictions));
}

/** The mount on `name` in an open directory, or on the directory itself. */
export function restrictAt(init: RemoteProcess, directory: number, name: string, restrictions: Restrictions): void {
  const { attributes, flags, recursive = false } = restrictions;
  if (hasMountAttributes()) init.setMountAttributes(directory, name, attributes, recursive);
  else init.mount('', `${pathOf(directory)}/${name}`, '', MS_REMOUNT | MS_BIND | flags);
}

const CGROUP_FLAGS = MS_NOSUID | MS_NODEV | MS_NOEXEC;
const READ_ONLY: Restrictions = { attributes: MOUNT_ATTR_RDONLY, flags: MS_RDONLY };
const CGROUP_RESTRICTIONS: Restrictions = {
  attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY,
  flags: CGROUP_FLAGS | MS_RDONLY,
};

/**
 * The container's own cgroups, bound: from the cgroup namespace that is made later each looks like a hierarchy's
 * root. One nameless cgroup of version 2 takes the whole place.
 */
function mountCgroups(root: Rootfs, { destination }: MountSpec, cgroups: readonly CgroupBind[]): void {
  const { init } = root;
  const [first] = cgroups;
  if (first === undefined) return;
  withTarget(init, root.ensure(destination, 'directory', 'refuse'), (fd) => {
    if (first.name === undefined) init.mount(first.directory, pathOf(fd), '', MS_BIND);
    else init.mount('tmpfs', pathOf(fd), 'tmpfs', CGROUP_FLAGS, 'mode=755,size=64k');
  });
  if (first.name === undefined) restrict(root, destination, CGROUP_RESTRICTIONS);
  else bindCgroups(root, destination, cgroups);
}

/** Into the file system that was just mounted: our own and empty, so that names in it lead nowhere else. */
function bindCgroups(root: Rootfs, destination: string, cgroups: readonly CgroupBind[]): void {
  const { init } = root;
  withTarget(init, root.open(destination, 'refuse')!, (fd) => {
    for (const { name = '', directory } of cgroups) {
      init.mkdirAt(fd, name, 0o755);
      init.mount(directory, `${pathOf(fd)}/${name}`, '', MS_BIND);
      restrictAt(init, fd, name, CGROUP_RESTRICTIONS);
      // `cpu,cpuacct` is also reachable as `cpu` and as `cpuacct`, as programs expect.
      if (name.includes(',')) for (const subsystem of name.split(',')) init.symlinkAt(name, fd, subsystem);
    }
    restrictAt(init, fd, '', { ...READ_ONLY, flags: CGROUP_FLAGS | MS_RDONLY });
  });
}

/** The whole rootfs read-only; what is mounted on it stays as it is. */
export function makeReadOnly(root: Rootfs): void {
  restrict(root, '/', READ_ONLY);
}
