/** Gives the init process the namespaces that its container asked for, new or joined. */
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

/**
 * PID and user namespaces are those of the process from its start, the mount namespace is new already; the cgroup one
 * follows when the cgroup is joined.
 */
const EARLIER_OR_LATER: readonly NamespaceKind[] = ['mount', 'pid', 'user', 'cgroup'];

/** @param bornIn the process was started in those that are joined by path */
export function enterNamespaces(init: RemoteProcess, namespaces: readonly NamespaceSpec[], bornIn: boolean): void {
  const here = namespaces.filter(({ type, path }) => !EARLIER_OR_LATER.includes(type) && !(bornIn && path));
  // By path first: the paths are the host's.
  const joined = here.flatMap(({ type, path }) =>
    path === undefined ? [] : [{ type, fd: init.open(path, O_RDONLY) }],
  );
  for (const { type, fd } of joined) {
    init.setns(fd, FLAGS[type]);
    init.close(fd);
  }
  init.unshare(here.reduce((flags, { type, path }) => (path === undefined ? flags | FLAGS[type] : flags), 0));
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
