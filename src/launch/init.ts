/**
 * The process that becomes a container's PID 1: one straight line of system calls from the host's view to the
 * program's first instruction. It is started with an empty environment and a socket to its launcher, loads as
 * little as possible (its start is most of what `run` costs), and runs no asynchronous code: a thread could not be
 * created any more.
 */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { setParentDeathSignal, setsid } from '../sys/process.ts';
import { receiveTask, send, sendError } from './init/channel.ts';
import { enterContainer } from './init/container.ts';
import { hasNew, joinNamespaces } from './init/namespaces.ts';
import { becomeProgram } from './init/program.ts';
import type { InitTask } from './protocol.ts';

try {
  // Before the launcher is told that we live: from then on its death is ours.
  setParentDeathSignal(constants.signals.SIGKILL);
  setsid();
  // The host's /proc, still: its link names us as the host does.
  send({ type: 'ready', pid: Number(readlinkSync('/proc/self')) });
  const received = receiveTask();
  if (received === undefined) process.exit(125);
  start(received.task, received.fds);
} catch (error) {
  sendError(error);
  process.exit(125);
}

function start(task: InitTask, files: readonly number[]): never {
  const passed = files.length - task.cgroupFiles;
  const cgroupFiles = files.slice(passed);
  if (task.task === 'exec') {
    joinNamespaces(files.slice(0, passed), task.join);
    return becomeProgram(task, { cgroupFiles, newCgroupNamespace: false, first: false });
  }
  enterContainer(task, files.slice(0, task.passedMounts));
  const newCgroupNamespace = hasNew(task.spec.namespaces, 'cgroup');
  return becomeProgram(task, { cgroupFiles, newCgroupNamespace, first: true });
}
