/** Gives the init process the namespaces that its container asked for, new or joined. */
import { asTslayerError } from '../../errors.ts';
import { O_RDONLY } from '../../sys/at.ts';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from '../../sys/namespaces.ts';
import type { RemoteProcess } from '../../sys/remote/process.ts';
import type { NamespaceKind, NamespaceSpec } from '../spec.ts';

const FLAGS: Readonly<Record<NamespaceKind, number>> = {
  mount: CLONE_NEWNS,
  uts: CLONE_NEWUTS,
  ipc: CLONE_NEWIPC,
  pid: CLONE_NEWPID,
  network: CLONE_NEWNET,
  user: CLONE_NEWUSER,
  cgroup: CLONE_NEWCGROUP,
};

/** PID and user namespaces are those of the process from its start, the mount namespace is new already. */
const EARLIER: readonly NamespaceKind[] = ['mount', 'pid', 'user'];

/** @param bornIn the process was started in those that are joined by path */
export function enterNamespaces(init: RemoteProcess, namespaces: readonly NamespaceSpec[], bornIn: boolean): void {
  const here = namespaces.filter(({ type }) => !EARLIER.includes(type));
  if (!bornIn) for (const { type, path } of here) if (path !== undefined) joinByPath(init, type, path);
  // A new cgroup namespace shows the cgroup that its maker is in: it follows when that is the container's.
  const made = here.filter(({ type, path }) => path === undefined && type !== 'cgroup');
  init.unshare(made.reduce((flags, { type }) => flags | FLAGS[type], 0));
}

/** The path is the host's. */
function joinByPath(init: RemoteProcess, type: NamespaceKind, path: string): void {
  const doing = cannotJoin(type, path);
  try {
    const fd = init.open(path, O_RDONLY);
    init.during(doing, () => init.setns(fd, FLAGS[type]));
    init.close(fd);
  } catch (error) {
    throw asTslayerError(error, doing);
  }
}

export function cannotJoin(type: NamespaceKind, path: string): string {
  return `cannot join the ${type} namespace ${path}`;
}

/** Into the namespaces of a running container, by files that were passed; the mount namespace last. */
export function joinNamespaces(init: RemoteProcess, files: readonly number[], kinds: readonly number[]): void {
  for (const [i, file] of files.entries()) {
    init.setns(file, kinds[i]!);
    init.close(file);
  }
}

export function hasNew(namespaces: readonly NamespaceSpec[], kind: NamespaceKind): boolean {
  return namespaces.some(({ type, path }) => type === kind && path === undefined);
}
