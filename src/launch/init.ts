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
import { enterContainer, prepareUsualNamespaces } from './init/container.ts';
import { hasNew, joinNamespaces } from './init/namespaces.ts';
import { becomeProgram } from './init/program.ts';
import { EARLY, type InitTask } from './protocol.ts';

try {
  // Before the launcher is told that we live: from then on its death is ours.
  setParentDeathSignal(constants.signals.SIGKILL);
  setsid();
  // The host's /proc, still: its link names us as the host does.
  send({ type: 'ready', pid: Number(readlinkSync('/proc/self')) });
  const early = process.argv.includes(EARLY);
  if (early) prepareUsualNamespaces();
  const received = receiveTask();
  if (received === undefined) process.exit(125);
  start(received.message, received.files, early);
} catch (error) {
  sendError(error);
  process.exit(125);
}

function start(task: InitTask, files: readonly number[], early: boolean): never {
  if (task.task === 'exec') {
    const joined = task.join.length;
    joinNamespaces(files.slice(0, joined), task.join);
    return becomeProgram(task, { cgroupFiles: files.slice(joined), newCgroupNamespace: false, first: false });
  }
  const cgroupFiles = enterContainer(task, files, early);
  return becomeProgram(task, { cgroupFiles, newCgroupNamespace: hasNew(task.spec.namespaces, 'cgroup'), first: true });
}
