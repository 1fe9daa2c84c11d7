/**
 * unshare(CLONE_NEWPID) concerns the children of the calling thread; between it and the setns(2) back the process
 * cannot create threads, so nothing there may be asynchronous.
 */
import { closeSync, openSync } from 'node:fs';
import { asTslayerError } from '../../errors.ts';
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWPID,
  CLONE_NEWUTS,
  setns,
  unshare,
} from '../../sys/namespaces.ts';
import { type BootRequest, leavesForGood, type NamespaceFile } from './request.ts';

/** Runs `start` with the calling thread in other namespaces, and brings it back. */
export function insideNamespaces<T>(request: BootRequest, start: () => T): T {
  if (leavesForGood(request)) return start();
  const { newPid, user, enter } = request;
  const own: { fd: number; flag: number }[] = [];
  const remember = (file: string, flag: number): void => {
    own.push({ fd: openSync(`/proc/thread-self/ns/${file}`, 'r'), flag });
  };
  try {
    for (const each of enter) {
      remember(NAMESPACE_FILES[each.flag]!, each.flag);
      enterOne(each);
    }
    // A PID namespace that belongs to a new user namespace is made inside it.
    if (newPid && user !== 'new') {
      remember('pid_for_children', CLONE_NEWPID);
      unshare(CLONE_NEWPID);
    }
    return start();
  } finally {
    for (const { fd, flag } of own.toReversed()) {
      setns(fd, flag);
      closeSync(fd);
    }
  }
}

function enterOne({ fd, path, flag }: NamespaceFile): void {
  try {
    setns(fd, flag);
  } catch (error) {
    throw asTslayerError(error, `cannot join the namespace ${path}`);
  }
}

const NAMESPACE_FILES: Readonly<Record<number, string>> = {
  [CLONE_NEWPID]: 'pid_for_children',
  [CLONE_NEWIPC]: 'ipc',
  [CLONE_NEWUTS]: 'uts',
  [CLONE_NEWNET]: 'net',
  [CLONE_NEWCGROUP]: 'cgroup',
};
