/** Gives the init process the namespaces that its container asked for, new or joined. */
import { closeSync, openSync } from 'node:fs';
import {
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  setns,
  unshare,
} from '../../sys/namespaces.ts';
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
export function enterNamespaces(namespaces: readonly NamespaceSpec[], bornIn: boolean): void {
  const here = namespaces.filter(({ type, path }) => !EARLIER_OR_LATER.includes(type) && !(bornIn && path));
  // By path first: the paths are the host's.
  const joined = here.flatMap(({ type, path }) => (path === undefined ? [] : [{ type, fd: openSync(path, 'r') }]));
  for (const { type, fd } of joined) {
    setns(fd, FLAGS[type]);
    closeSync(fd);
  }
  unshare(here.reduce((flags, { type, path }) => (path === undefined ? flags | FLAGS[type] : flags), 0));
}

/** Into the namespaces of a running container, by the files that came with the task; the mount namespace last. */
export function joinNamespaces(fds: readonly number[], kinds: readonly number[]): void {
  unshare(CLONE_FS); // setns(CLONE_NEWNS) refuses a file-system context that threads share
  for (const [i, fd] of fds.entries()) {
    setns(fd, kinds[i]!);
    closeSync(fd);
  }
}

export function hasNew(namespaces: readonly NamespaceSpec[], kind: NamespaceKind): boolean {
  return namespaces.some(({ type, path }) => type === kind && path === undefined);
}
