/**
 * The init process's way from the host's file system into the container's: everything between new namespaces and the
 * program's own start.
 */
import { constants } from 'node:os';
import { posix } from 'node:path';
import { SystemCallError } from '../../sys/libc.ts';
import { MNT_DETACH, MS_REC, MS_SLAVE } from '../../sys/mount-api.ts';
import { CLONE_NEWNS } from '../../sys/namespaces.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import { LaunchError } from '../errors.ts';
import type { ContainerSpec } from '../spec.ts';
import { makeDevices } from './devices.ts';
import { maskPaths, protectPaths } from './hide.ts';
import { type CgroupBind, isBind, makeReadOnly, performMount } from './mounts.ts';
import { enterNamespaces, hasNew } from './namespaces.ts';
import { Rootfs } from './rootfs.ts';
import { setSysctls } from './sysctls.ts';

/** Where the parts of a container come from. */
export interface ContainerParts {
  /** An empty directory where the rootfs is put together, in the init process's own mount namespace. */
  readonly rootfsDirectory: string;
  /** Holds the generated files: hosts, hostname, resolv.conf. */
  readonly filesDirectory: string;
  /** The rootfs, a detached mount that the init process has open; undefined: it is mounted at its directory already. */
  readonly rootfs: number | undefined;
  /** Likewise each bind of `spec.mounts`, where the init process cannot make it itself. */
  readonly binds: readonly number[] | undefined;
  readonly cgroups: readonly CgroupBind[];
}

/** Its mount namespace, a copy of the host's; and the others, which take the kernel a while. */
export function leaveHost(init: RemoteProcess, spec: ContainerSpec): void {
  init.unshare(CLONE_NEWNS);
  // Slave: what the host unmounts goes away here too, and nothing done here shows on the host.
  // EINVAL where the root directory is no mount point, which pivot_root(2) could not leave either.
  init.during('cannot set mounts apart (a chroot has to be a mount point: bind it onto itself)', () => {
    init.mount('', '/', '', MS_SLAVE | MS_REC);
  });
  // A user namespace's root is still to come into its own.
  if (!spec.userNamespace) enterOthers(init, spec);
  init.flush();
}

function enterOthers(init: RemoteProcess, { namespaces, userNamespace, hostname, sysctls }: ContainerSpec): void {
  enterNamespaces(init, namespaces, userNamespace !== undefined);
  if (hasNew(namespaces, 'network')) init.bringUpLoopback();
  if (hasNew(namespaces, 'uts')) init.sethostname(hostname);
  setSysctls(init, sysctls);
}

/** After leaveHost. */
export function enterContainer(init: RemoteProcess, spec: ContainerSpec, parts: ContainerParts): void {
  if (parts.rootfs !== undefined) init.attachMount(parts.rootfs, parts.rootfsDirectory);
  using root = new Rootfs(init, parts.rootfsDirectory);
  if (spec.userNamespace) {
    becomeMappedRoot(init);
    enterOthers(init, spec);
  }
  furnish(root, spec, parts);
  pivot(root);
}

/**
 * From the host's root, which the user namespace does not know, to its own. Only the host's could reach the store's
 * directories; only its own can write to the rootfs.
 */
function becomeMappedRoot(init: RemoteProcess): void {
  init.setIds(0, 0, []);
  init.setParentDeathSignal(constants.signals.SIGKILL);
}

/** Puts into the rootfs what every container needs, and hides what none may see. */
function furnish(root: Rootfs, spec: ContainerSpec, parts: ContainerParts): void {
  const former = root.init.umask(0);
  const passed = parts.binds && [...parts.binds];
  const context = { files: parts.filesDirectory, passed, cgroups: parts.cgroups };
  for (const each of spec.mounts) {
    performMount(root, each, context);
    // At once, before any volume could lie over it. A volume that is /dev is the caller's, and stays as it is.
    if (each.destination === '/dev' && !isBind(each)) makeDevices(root, spec.devices, mountpointsInDev(spec));
    root.init.flush();
  }
  makeWorkingDirectory(root, spec.process.cwd);
  protectPaths(root, spec.readonlyPaths);
  maskPaths(root, spec.maskedPaths);
  if (spec.rootfs.readOnly) makeReadOnly(root);
  root.init.umask(former);
}

function mountpointsInDev({ mounts }: ContainerSpec): string[] {
  const own = mounts.filter(({ type, destination }) => !isBind({ type }) && posix.dirname(destination) === '/dev');
  return [...new Set(own.map(({ destination }) => destination))];
}

/** As docker does, for images that name one and do not bring it. */
function makeWorkingDirectory(root: Rootfs, directory: string): void {
  try {
    root.init.close(root.ensure(directory, 'directory', 'follow'));
  } catch (error) {
    // Entering it, as the program's user, says what is wrong with it. But a mount may have failed before.
    if (!(error instanceof SystemCallError || error instanceof LaunchError)) throw error;
  }
}

/** The rootfs becomes `/` and the host's tree goes away: pivot_root(".", "."), pivot_root(2). */
function pivot(root: Rootfs): void {
  const { init } = root;
  init.fchdir(root.fd);
  init.pivotRoot('.', '.');
  init.unmount('.', MNT_DETACH);
  init.chdir('/');
}
