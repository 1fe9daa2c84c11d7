/** From the host's file system into the container's: everything between new namespaces and the program's own start. */
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { performMounts } from '../../mounts/perform.ts';
import { attachMount, MNT_DETACH, MS_REC, MS_SLAVE, mount, pivotRoot, umount } from '../../sys/mount-api.ts';
import { CLONE_NEWNS, chdir, fchdir, sethostname, umask, unshare } from '../../sys/namespaces.ts';
import { bringUp } from '../../sys/network.ts';
import { setIds, setParentDeathSignal } from '../../sys/process.ts';
import { LaunchError } from '../errors.ts';
import type { ContainerTask } from '../protocol.ts';
import type { NamespaceKind } from '../spec.ts';
import { makeDevices } from './devices.ts';
import { maskPaths, protectPaths } from './hide.ts';
import { makeReadOnly, performMount } from './mounts.ts';
import { enterNamespaces, hasNew } from './namespaces.ts';
import { Rootfs } from './rootfs.ts';

/** @param passed detached mounts that came with the task: the rootfs, then the binds */
export function enterContainer(task: ContainerTask, passed: readonly number[]): void {
  const { spec } = task;
  unshare(CLONE_NEWNS);
  // Slave: what the host unmounts goes away here too, and nothing done here shows on the host.
  mount('', '/', '', MS_SLAVE | MS_REC);
  const [rootfsMount, ...binds] = passed;
  if (rootfsMount === undefined)
    performMounts(spec.rootfs.mounts, task.rootfsDirectory, { scratch: task.filesDirectory, stages: task.stages });
  else attachMount(rootfsMount, task.rootfsDirectory);
  using root = new Rootfs(task.rootfsDirectory);
  if (spec.userNamespace) becomeMappedRoot();
  const isNew = (kind: NamespaceKind): boolean => hasNew(spec.namespaces, kind);
  enterNamespaces(spec.namespaces, spec.userNamespace !== undefined);
  if (isNew('uts')) sethostname(spec.hostname);
  if (isNew('network')) bringUp('lo');
  furnish(root, task, rootfsMount === undefined ? undefined : binds);
  pivot(root);
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
function furnish(root: Rootfs, task: ContainerTask, passed: number[] | undefined): void {
  const { spec } = task;
  const former = umask(0);
  const context = { cgroups: task.cgroups, files: task.filesDirectory, passed };
  let devicesMade = false;
  for (const each of spec.mounts) {
    performMount(root, each, context);
    // At once, before any volume could lie over it.
    if (each.destination === '/dev') {
      makeDevices(root, spec.devices);
      devicesMade = true;
    }
  }
  if (!devicesMade) throw new LaunchError(125, 'INVALID_ARGUMENT', 'a container needs a /dev of its own');
  makeWorkingDirectory(root, task.process.cwd);
  protectPaths(root, spec.readonlyPaths);
  maskPaths(root, spec.maskedPaths);
  if (spec.rootfs.readOnly) makeReadOnly(root);
  umask(former);
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
