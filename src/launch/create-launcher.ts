/** Puts the launcher together over a store's root. */

import { resolve } from 'node:path';
import { ContainerStore } from './container-store.ts';
import { killContainer, pauseContainer, removeContainer, stopContainer, waitForContainer } from './control.ts';
import { DEFAULT_DETACH_KEYS, parseKeys } from './detach-keys.ts';
import { connectToWatcher, startWatcher, untilStarted } from './detached.ts';
import { execForeground, execTerminal } from './exec.ts';
import { runForeground } from './foreground.ts';
import { controlFrame } from './frames.ts';
import { viewHierarchies } from './hierarchy-view.ts';
import { describe, listContainers, running, settle } from './inspect.ts';
import type { Container, ExitResult, Launcher, LogEntry, LogOptions, TerminalIO } from './launcher.ts';
import { readLog } from './log-file.ts';
import { DEFAULT_SIZE } from './raw-terminal.ts';
import type { ContainerSpec } from './spec.ts';
import { attachSession } from './terminal-client.ts';
import { watchStats } from './watch-stats.ts';

/** @param root the store's: containers lie in ROOT/containers. */
export function createLauncher({ root }: { readonly root: string }): Launcher {
  const absolute = resolve(root);
  const store = new ContainerStore(absolute);
  const join = async (spec: ContainerSpec, io: TerminalIO, owner: boolean): Promise<ExitResult> => {
    const { terminal, stdin: input } = spec.process;
    // Before anything is started for them.
    const detachKeys = parseKeys(io.detachKeys ?? DEFAULT_DETACH_KEYS);
    const socket = await (owner ? startWatcher(store, absolute, spec) : connectToWatcher(store, spec.id));
    return attachSession(socket, { ...io, terminal, input, owner, detachKeys });
  };
  return {
    run: (spec, io, options) => runForeground(store, spec, io, options),
    runTerminal: async (spec, io = {}) => (spec.runtime ? runtimeTerminal(store, spec, io) : join(spec, io, true)),
    start: async (spec, options = {}) => {
      const socket = await startWatcher(store, absolute, spec);
      if (spec.process.terminal) socket.write(controlFrame({ type: 'resize', size: DEFAULT_SIZE }));
      await untilStarted(socket, options.onWarning ?? (() => undefined));
      return inspectContainer(store, spec.id);
    },
    attach: async (name, io = {}) => {
      const { record } = await running(store, name);
      return join(record.spec, io, false);
    },
    exec: (name, options, io) => execForeground(store, name, options, io),
    execTerminal: (name, options, io) => execTerminal(store, name, options, io),
    list: () => listContainers(store),
    inspect: (name) => inspectContainer(store, name),
    kill: (name, signal) => killContainer(store, name, signal),
    stop: (name, options) => stopContainer(store, name, options),
    pause: (name) => pauseContainer(store, name, true),
    unpause: (name) => pauseContainer(store, name, false),
    wait: (name, signal) => waitForContainer(store, name, signal),
    logs: (name, options) => logsOf(store, name, options),
    remove: (name, options) => removeContainer(store, name, options?.force ?? false),
    clear: (id) => store.clear(id),
    stats: (names, options) => watchStats(store, names, options),
    hierarchies: () => viewHierarchies(store),
  };
}

/** Another runtime sees to the caller's terminal by itself, and knows no detach keys. */
async function runtimeTerminal(store: ContainerStore, spec: ContainerSpec, io: TerminalIO): Promise<ExitResult> {
  const { exited } = await runForeground(store, spec, { signal: io.signal, onWarning: io.onWarning });
  return exited;
}

async function inspectContainer(store: ContainerStore, name: string): Promise<Container> {
  return describe(store, store.find(name));
}

async function* logsOf(store: ContainerStore, name: string, options: LogOptions = {}): AsyncGenerator<LogEntry> {
  const record = store.find(name);
  const isOver = async (): Promise<boolean> => (await settle(store, record)).status === 'exited';
  yield* readLog(store.paths(record.spec.id).log, options, isOver);
}
