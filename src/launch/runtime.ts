/**
 * `--runtime runc|crun`: another OCI runtime runs the container, from a bundle made of the same spec. It stays the
 * caller's child for as long as the container runs, and passes its status on. The rootfs is mounted on the host
 * meanwhile, since a runtime cannot perform our mounts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TslayerError } from '../errors.ts';
import { performMounts } from '../mounts/perform.ts';
import { unmount } from '../mounts/unmount.ts';
import { type Ended, endOf } from './boot/ended.ts';
import { writeConfig } from './bundle.ts';
import { ContainerCgroups, cgroupPath, removeDefaultParents } from './cgroups/cgroups.ts';
import { makeCgroups } from './cgroups/create.ts';
import type { ContainerPaths } from './container-store.ts';
import { LaunchError, type LaunchStatus } from './errors.ts';
import { signalProcess, startTimeOf } from './liveness.ts';
import { tryFindProgram } from './programs.ts';
import type { ContainerSpec, RuntimeName } from './spec.ts';
import { ProgramStreams, type Stdio } from './streams.ts';
import type { Carrier, Child, Program } from './supervise.ts';

/** How to make it leave its cgroups behind, so that what they counted can be read. */
const KEEP: Readonly<Record<RuntimeName, readonly string[]>> = { runc: ['--keep'], crun: [] };
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface RuntimeOptions {
  readonly runtime: RuntimeName;
  readonly spec: ContainerSpec;
  readonly paths: ContainerPaths;
  readonly stdio: Stdio;
  /** Called when the runtime was started, for its streams. */
  readonly onChild?: (child: Child) => void;
}

export class RuntimeCarrier implements Carrier {
  readonly #options: RuntimeOptions;
  readonly #program: string;
  readonly #bundle: string;
  #child: ChildProcess | undefined;
  #ended: Promise<Ended> | undefined;

  constructor(options: RuntimeOptions) {
    const program = tryFindProgram(options.runtime);
    if (!program) throw new TslayerError('UNSUPPORTED', `the runtime ${options.runtime} is not installed`);
    this.#options = options;
    this.#program = program;
    this.#bundle = join(options.paths.base, 'bundle');
  }

  /** @throws LaunchError what the runtime complains about */
  async start(): Promise<Program> {
    const { runtime, spec, paths, stdio, onChild } = this.#options;
    mkdirSync(this.#bundle, { mode: 0o700 });
    performMounts(spec.rootfs.mounts, paths.rootfs, { scratch: paths.files });
    writeConfig(spec, this.#bundle, paths);
    makeCgroups(cgroupPath(spec));
    const files = { pid: join(this.#bundle, 'pid'), log: join(this.#bundle, 'runtime.log') };
    const words = ['--log', files.log, '--log-format', 'json', 'run', ...KEEP[runtime], '--bundle', this.#bundle];
    const child = this.#spawn([...words, '--pid-file', files.pid, spec.id], stdio);
    onChild?.(child);
    const ended = this.#ended!;
    const pid = await pidFrom(files.pid, ended);
    if (pid === undefined) throw complaint(runtime, files.log);
    const startTime = startTimeOf(pid);
    const signal = (number: number): boolean => startTime !== undefined && signalProcess(pid, startTime, number);
    return { child, pid, startTime, ended, signal };
  }

  /** It passes its own streams on. */
  #spawn(words: readonly string[], stdio: Stdio): Child {
    using streams = new ProgramStreams(stdio);
    const child = spawn(this.#program, [...this.#state, ...words], { stdio: [...streams.files], env: { PATH } });
    this.#child = child;
    this.#ended = endOf(child);
    return { ...streams.ends, kill: (signal) => child.kill(signal) };
  }

  get #state(): string[] {
    return ['--root', join(this.#options.paths.base, 'runtime')];
  }

  async bury(): Promise<{ oomKilled: boolean }> {
    const { spec, paths } = this.#options;
    if (this.#child?.exitCode === null) this.#child.kill('SIGKILL');
    await this.#ended;
    const cgroups = ContainerCgroups.find(cgroupPath(spec));
    const oomKilled = cgroups.oomKills() > 0;
    await cgroups.killAll();
    const remover = spawn(this.#program, [...this.#state, 'delete', '--force', spec.id], {
      stdio: 'ignore',
      env: { PATH },
    });
    await endOf(remover);
    await cgroups.remove();
    // One that failed to start has taken its own away.
    removeDefaultParents(cgroupPath(spec));
    releaseRootfs(paths);
    return { oomKilled };
  }
}

/** Takes the rootfs off the host, if it is there. */
export function releaseRootfs({ rootfs }: Pick<ContainerPaths, 'rootfs'>): void {
  unmount(rootfs, { detach: true });
}

/** Undefined when the runtime ended without starting anything. */
async function pidFrom(file: string, ended: Promise<Ended>): Promise<number | undefined> {
  let over = false;
  void ended.then(() => {
    over = true;
  });
  for (;;) {
    const pid = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
    if (pid > 0) return pid;
    if (over) return undefined;
    await delay(2);
  }
}

function complaint(runtime: string, log: string): LaunchError {
  const said = existsSync(log) ? readFileSync(log, 'utf8') : '';
  const errors = said
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { msg?: string }).msg ?? '');
  const message = errors.at(-1) ?? 'it gave no reason';
  return new LaunchError(statusOf(message), 'FAILED', `${runtime}: ${message}`);
}

function statusOf(message: string): LaunchStatus {
  if (/not found|no such file/i.test(message)) return 127;
  return /permission denied|not a regular file|is a directory/i.test(message) ? 126 : 125;
}
