/** What is done to containers from outside: kill, stop, pause, wait, remove. */
import { setTimeout as delay } from 'node:timers/promises';
import { TslayerError, throwIfAborted } from '../errors.ts';
import { hasErrno } from '../sys/libc.ts';
import { ContainerCgroups, cgroupPath } from './cgroups/cgroups.ts';
import type { ContainerRecord, ContainerStore } from './container-store.ts';
import { describe, running, settle } from './inspect.ts';
import type { Container, ExitResult, StopOptions } from './launcher.ts';
import { signalProcess } from './liveness.ts';
import { signalNumber } from './signals.ts';

export async function killContainer(store: ContainerStore, name: string, signal: string): Promise<void> {
  const number = signalNumber(signal);
  const { record, pid, startTime } = await running(store, name);
  if (!signalProcess(pid, startTime, number)) {
    throw new TslayerError('IN_USE', `the container ${record.spec.name} is not running`);
  }
  if (number === signalNumber('KILL')) await letDie(ContainerCgroups.find(cgroupPath(record.spec)));
}

/** A frozen process takes no signal, not even SIGKILL on version 1: it would be killed when somebody thaws it. */
async function letDie(cgroups: ContainerCgroups): Promise<void> {
  try {
    if (cgroups.isFrozen()) await cgroups.freeze(false);
  } catch (error) {
    // It is dead and gone already.
    if (!hasErrno(error, 'ENOENT', 'ENODEV')) throw error;
  }
}

export async function stopContainer(store: ContainerStore, name: string, options: StopOptions = {}): Promise<void> {
  const record = store.find(name);
  const { status, pid, startTime } = await settle(store, record);
  if (status !== 'running' || pid === undefined || startTime === undefined) return;
  const signal = signalNumber(options.signal ?? record.spec.stop.signal);
  const seconds = options.timeoutSeconds ?? record.spec.stop.timeoutSeconds;
  // A frozen process takes no signal, not even SIGKILL on version 1.
  const cgroups = ContainerCgroups.find(cgroupPath(record.spec));
  if (cgroups.isFrozen()) await cgroups.freeze(false);
  if (!signalProcess(pid, startTime, signal)) return;
  if (await endsWithin(store, record, seconds * 1000)) return;
  signalProcess(pid, startTime, signalNumber('KILL'));
  await waitForEnd(store, record);
}

async function endsWithin(store: ContainerStore, record: ContainerRecord, milliseconds: number): Promise<boolean> {
  try {
    await waitForEnd(store, record, AbortSignal.timeout(milliseconds));
    return true;
  } catch {
    return false;
  }
}

/** Polls: the end is known by the state and the lock, both of which another process writes. Undefined: removed. */
async function waitForEnd(
  store: ContainerStore,
  record: ContainerRecord,
  signal?: AbortSignal,
): Promise<ExitResult | undefined> {
  using waiting = await store.tryWait(record.spec.id);
  if (waiting === undefined) return undefined;
  for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
    const state = await settle(store, record);
    if (state.status === 'exited' && store.isLetGo(record.spec.id)) {
      return {
        exitCode: state.exitCode ?? 125,
        oomKilled: state.oomKilled ?? false,
        ...(state.signal && { signal: state.signal }),
      };
    }
    if (store.read(record.spec.id) === undefined) return undefined;
    throwIfAborted(signal);
    await delay(pause);
  }
}

export async function waitForContainer(store: ContainerStore, name: string, signal?: AbortSignal): Promise<ExitResult> {
  const record = store.find(name);
  const result = await waitForEnd(store, record, signal);
  if (result) return result;
  throw new TslayerError('NOT_FOUND', `the container ${record.spec.name} was removed before its end was seen`);
}

export async function pauseContainer(store: ContainerStore, name: string, pause: boolean): Promise<void> {
  const { record } = await running(store, name);
  const cgroups = ContainerCgroups.find(cgroupPath(record.spec));
  if (cgroups.isFrozen() === pause) {
    throw new TslayerError('IN_USE', `the container ${record.spec.name} is ${pause ? 'already' : 'not'} paused`);
  }
  await cgroups.freeze(pause);
}

export async function removeContainer(store: ContainerStore, name: string, force: boolean): Promise<Container> {
  const record = store.find(name);
  const state = await settle(store, record);
  if (state.status !== 'exited') {
    if (!force) {
      throw new TslayerError('IN_USE', `the container ${record.spec.name} is running`, {
        hint: 'stop it first, or remove it by force',
      });
    }
    await stopContainer(store, record.spec.id, { signal: 'KILL', timeoutSeconds: 0 });
  }
  await waitForEnd(store, record);
  const container = await describe(store, record);
  await store.letWaitersSee(record.spec.id);
  store.remove(record.spec.id);
  return container;
}
