/** From the host's file system into the container's: everything between new namespaces and the program's own start. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { kernelFeatures } from '../../mounts/kernel.ts';
import { performMounts } from '../../mounts/perform.ts';
import { attachMount, MNT_DETACH, MS_REC, MS_SLAVE, mount, pivotRoot, umount } from '../../sys/mount-api.ts';
import {
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWUTS,
  chdir,
  fchdir,
  sethostname,
  umask,
  unshare,
} from '../../sys/namespaces.ts';
import { bringUp } from '../../sys/network.ts';
import { setIds, setParentDeathSignal } from '../../sys/process.ts';
import type { ContainerTask } from '../protocol.ts';
import type { MountSpec } from '../spec.ts';
import { receivePlacement } from './channel.ts';
import { makeDevices } from './devices.ts';
import { maskPaths, protectPaths } from './hide.ts';
import { makeReadOnly, mountCgroups, performMount } from './mounts.ts';
import { enterNamespaces, hasNew } from './namespaces.ts';
import { Rootfs } from './rootfs.ts';

/** While nothing is known but that a usual container will be asked for; enterContainer finds them done. */
export function prepareUsualNamespaces(): void {
  unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET);
  bringUp('lo');
  kernelFeatures();
}

/**
 * @param passed detached mounts that came with the task: the rootfs, then the binds
 * @param prepared prepareUsualNamespaces was called
 * @returns open files of the container's cgroups
 */
export function enterContainer(task: ContainerTask, passed: readonly number[], prepared: boolean): readonly number[] {
  const { spec } = task;
  unshare(CLONE_NEWNS);
  // Slave: what the host unmounts goes away here too, and nothing done here shows on the host.
  mount('', '/', '', MS_SLAVE | MS_REC);
  const [rootfsMount, ...binds] = passed;
  if (rootfsMount === undefined) {
    performMounts(spec.rootfs.mounts, task.rootfsDirectory, { scratch: task.filesDirectory, stages: task.stages });
  } else attachMount(rootfsMount, task.rootfsDirectory);
  using root = new Rootfs(task.rootfsDirectory);
  if (spec.userNamespace) becomeMappedRoot();
  if (!prepared) enterOtherNamespaces(spec);
  if (hasNew(spec.namespaces, 'uts')) sethostname(spec.hostname);
  const cgroupFiles = furnish(root, task, rootfsMount === undefined ? undefined : binds);
  pivot(root);
  return cgroupFiles;
}

function enterOtherNamespaces({ namespaces, userNamespace }: ContainerTask['spec']): void {
  enterNamespaces(namespaces, userNamespace !== undefined);
  if (hasNew(namespaces, 'network')) bringUp('lo');
}

/**
 * From the host's root, which the user namespace does not know, to its own. Only the host's could reach the store's
 * directories; only its own can write to the rootfs.
 */
function becomeMappedRoot(): void {
  setIds(0, 0, []);
  setParentDeathSignal(constants.signals.SIGKILL);
}

/** Puts into the rootfs what every container needs, and hides what none may see. */
function furnish(root: Rootfs, task: ContainerTask, passed: number[] | undefined): readonly number[] {
  const { spec } = task;
  const former = umask(0);
  const context = { files: task.filesDirectory, passed };
  const [cgroups, others] = deferCgroups(spec.mounts);
  for (const each of others) {
    performMount(root, each, context);
    // At once, before any volume could lie over it.
    if (each.destination === '/dev') makeDevices(root, spec.devices);
  }
  makeWorkingDirectory(root, task.process.cwd);
  protectPaths(root, spec.readonlyPaths);
  maskPaths(root, spec.maskedPaths);
  const { message: placement, files } = receivePlacement();
  for (const each of cgroups) mountCgroups(root, each, placement.cgroups);
  if (spec.rootfs.readOnly) makeReadOnly(root);
  umask(former);
  return files;
}

/** The cgroups are being made meanwhile, so they are mounted last; not, of course, over a volume of the user's. */
function deferCgroups(mounts: readonly MountSpec[]): [cgroups: MountSpec[], others: MountSpec[]] {
  const isHidden = ({ destination }: MountSpec): boolean =>
    mounts.some((other) => other.type === 'bind' && isWithin(destination, other.destination));
  const isCgroup = ({ type }: MountSpec): boolean => type === 'cgroup';
  return [mounts.filter((mount) => isCgroup(mount) && !isHidden(mount)), mounts.filter((mount) => !isCgroup(mount))];
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** As docker does, for images that name one and do not bring it. */
function makeWorkingDirectory(root: Rootfs, directory: string): void {
  try {
    closeSync(root.ensure(directory, 'directory', 'follow'));
  } catch {
    // Entering it, as the program's user, says what is wrong.
  }
}

/** The rootfs becomes `/` and the host's tree goes away: pivot_root(".", "."), pivot_root(2). */
function pivot(root: Rootfs): void {
  fchdir(root.fd);
  pivotRoot('.', '.');
  umount('.', MNT_DETACH);
  chdir('/');
}
