/** From the host's file system into the container's: everything between new namespaces and the program's own start. */
import { closeSync } from 'node:fs';
import { performMounts } from '../../mounts/perform.ts';
import { attachMount, MNT_DETACH, MS_REC, MS_SLAVE, mount, pivotRoot, umount } from '../../sys/mount-api.ts';
import { chdir, sethostname, umask } from '../../sys/namespaces.ts';
import { bringUp } from '../../sys/network.ts';
import { LaunchError } from '../errors.ts';
import type { ContainerTask } from '../protocol.ts';
import type { NamespaceKind } from '../spec.ts';
import { makeDevices } from './devices.ts';
import { maskPaths, protectPaths } from './hide.ts';
import { makeReadOnly, performMount } from './mounts.ts';
import { enterNamespaces, hasNew } from './namespaces.ts';
import { Rootfs } from './rootfs.ts';

/** @param rootfsMount the finished rootfs, where the launcher had to mount it. */
export function enterContainer(task: ContainerTask, rootfsMount: number | undefined): void {
  const { spec } = task;
  const isNew = (kind: NamespaceKind): boolean => hasNew(spec.namespaces, kind);
  enterNamespaces(spec.namespaces);
  if (isNew('uts')) sethostname(spec.hostname);
  if (isNew('network')) bringUp('lo');
  // Slave: what the host unmounts goes away here too, and nothing done here shows on the host.
  mount('', '/', '', MS_SLAVE | MS_REC);
  if (rootfsMount !== undefined) attachMount(rootfsMount, task.rootfsDirectory);
  else performMounts(spec.rootfs.mounts, task.rootfsDirectory, { scratch: task.filesDirectory });
  furnish(task);
  pivot(task.rootfsDirectory);
}

/** Puts into the rootfs what every container needs, and hides what none may see. */
function furnish(task: ContainerTask): void {
  const { spec } = task;
  const former = umask(0);
  using root = new Rootfs(task.rootfsDirectory);
  let devicesMade = false;
  for (const each of spec.mounts) {
    performMount(root, each, task);
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
function pivot(directory: string): void {
  chdir(directory);
  pivotRoot('.', '.');
  umount('.', MNT_DETACH);
  chdir('/');
}
