/** Containers: run, watched, stopped, removed. */
import { fileURLToPath } from 'node:url';
import type { Bundle } from '../containers/bundle.ts';
import type { RunRequest } from '../containers/run.ts';
import type { RunningContainer } from '../containers/running.ts';
import { isTslayerError } from '../errors.ts';
import type {
  Container,
  ContainerStats,
  ExecOptions,
  ExitResult,
  ForegroundIO,
  HierarchyView,
  LogEntry,
  LogOptions,
  RunningProcess,
  RunOptions,
  StatsOptions,
  StopOptions,
  TerminalIO,
} from '../launch/index.ts';
import type { OperationOptions } from '../progress.ts';
import { moduleUrl } from '../sys/module-url.ts';
import type { RunContainerOptions, WarningOptions } from '../tslayer-options.ts';
import { ExchangeMethods } from './exchange-methods.ts';
import { findRow } from './parts.ts';

export class ContainerMethods extends ExchangeMethods {
  /**
   * Runs a program in a new container as the caller's child, with the caller's streams unless `io` says otherwise.
   * Returns when the program runs; `exited` settles when it has ended and everything of it is gone.
   */
  async run(image: string, options: RunContainerOptions = {}, io: ForegroundIO = {}): Promise<RunningContainer> {
    const { runForeground } = await import('../containers/run.ts');
    return runForeground(await this.#runRequest(image, options), io);
  }

  /** The same with a terminal (docker's `run -it`): the caller's own unless `io` says otherwise. */
  async runTerminal(image: string, options: RunContainerOptions = {}, io: TerminalIO = {}): Promise<ExitResult> {
    const { runTerminal } = await import('../containers/run.ts');
    return runTerminal(await this.#runRequest(image, { ...options, tty: true }), io);
  }

  /** Runs it in the background, under a watcher (docker's `run -d`). Returns when the program runs. */
  async start(image: string, options: RunContainerOptions & WarningOptions = {}): Promise<Container> {
    const { runDetached } = await import('../containers/run.ts');
    const { onWarning, ...rest } = options;
    return runDetached(await this.#runRequest(image, rest), onWarning ? { onWarning } : {});
  }

  /** An OCI bundle of an image for any runtime: DIRECTORY/config.json, and the image mounted at DIRECTORY/rootfs. */
  async bundle(image: string, directory: string, options: RunOptions & OperationOptions = {}): Promise<Bundle> {
    const { bundleImage } = await import('../containers/bundle.ts');
    const { signal, onProgress, ...run } = options;
    return bundleImage(await this.parts.store(), image, directory, run, { signal, onProgress });
  }

  /** Containers, oldest first; those that have ended with `all`. */
  async ps(options: { readonly all?: boolean } = {}): Promise<Container[]> {
    await this.sweepContainers();
    const containers = await (await this.parts.launcher()).list();
    return containers.filter(({ state }) => options.all || state.status === 'running' || state.status === 'paused');
  }

  async inspectContainer(name: string): Promise<Container> {
    return (await this.parts.launcher()).inspect(name);
  }

  /** A further program in a running container. */
  async exec(name: string, options: ExecOptions, io: ForegroundIO = {}): Promise<RunningProcess> {
    return (await this.parts.launcher()).exec(name, options, io);
  }

  async execTerminal(name: string, options: ExecOptions, io: TerminalIO = {}): Promise<ExitResult> {
    return (await this.parts.launcher()).execTerminal(name, options, io);
  }

  /** Joins a detached container's terminal or output. */
  async attach(name: string, io: TerminalIO = {}): Promise<ExitResult> {
    return (await this.parts.launcher()).attach(name, io);
  }

  async stop(name: string, options: StopOptions = {}): Promise<void> {
    return (await this.parts.launcher()).stop(name, options);
  }

  /** @param signal as in `TERM`, `SIGTERM` or `15` */
  async kill(name: string, signal: string = 'KILL'): Promise<void> {
    return (await this.parts.launcher()).kill(name, signal);
  }

  async pause(name: string): Promise<void> {
    return (await this.parts.launcher()).pause(name);
  }

  async unpause(name: string): Promise<void> {
    return (await this.parts.launcher()).unpause(name);
  }

  /** Settles when the container has ended. */
  async wait(name: string, signal?: AbortSignal): Promise<ExitResult> {
    return (await this.parts.launcher()).wait(name, signal);
  }

  async *logs(name: string, options: LogOptions = {}): AsyncGenerator<LogEntry, void> {
    yield* (await this.parts.launcher()).logs(name, options);
  }

  /** Samples of the named containers, or of all that run. */
  async *stats(names: readonly string[] = [], options: StatsOptions = {}): AsyncGenerator<readonly ContainerStats[]> {
    yield* (await this.parts.launcher()).stats(names, options);
  }

  /** Removes a container with what it wrote. IN_USE while it runs, unless forced. */
  async rm(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    const { removeContainer } = await import('../containers/remove.ts');
    return removeContainer(await this.parts.store(), await this.parts.launcher(), name, options);
  }

  /** The cgroup hierarchies, the subsystems attached to each, and the containers in them. */
  async cgroups(): Promise<readonly HierarchyView[]> {
    return (await this.parts.launcher()).hierarchies();
  }

  /** What was to go at its end, and ended without anybody, goes now. */
  protected async sweepContainers(): Promise<void> {
    const { sweepContainers } = await import('../containers/remove.ts');
    await sweepContainers(await this.parts.store(), await this.parts.launcher());
  }

  async #runRequest(image: string, options: RunContainerOptions): Promise<RunRequest> {
    const { remove = false, pull = 'missing', platform, signal, onProgress, runtime, ...rest } = options;
    const operation = { signal, onProgress };
    const chosen = runtime ?? this.parts.config.run?.runtime ?? 'native';
    const run = chosen === 'native' ? rest : { ...rest, runtime: chosen };
    if (pull === 'always' || (pull === 'missing' && !(await this.#has(image)))) {
      (await import('../launch/build-spec.ts')).checkOptions(run);
      await this.pull(image, { ...operation, platform });
    }
    const [context, launcher] = await Promise.all([this.parts.store(), this.parts.launcher()]);
    const program = fileURLToPath(moduleUrl('../remove-at-end', import.meta.url));
    const removeCommand = (id: string) => [process.execPath, '--no-warnings', program, this.parts.config.root, id];
    return { ...operation, context, launcher, image, run, remove, removeCommand };
  }

  async #has(image: string): Promise<boolean> {
    try {
      await findRow(this.parts, image);
      return true;
    } catch (error) {
      if (isTslayerError(error, 'NOT_FOUND')) return false;
      throw error;
    }
  }
}
