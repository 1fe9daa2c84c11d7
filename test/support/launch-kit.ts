/** A launcher with a store and a busybox rootfs of its own, and a look at what it may leave behind. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { findHierarchies } from '../../src/launch/cgroups/hierarchies.ts';
import {
  buildSpec,
  type ContainerSpec,
  createLauncher,
  type ExitResult,
  type ForegroundIO,
  type Launcher,
  newContainerId,
  type RunOptions,
} from '../../src/launch/index.ts';
import type { RuntimeConfig } from '../../src/oci/config.ts';
import { makeBusyboxRootfs } from './busybox-rootfs.ts';
import { programPath } from './requires.ts';
import { tempDir } from './temp-dir.ts';

export interface Ran extends ExitResult {
  readonly id: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly warnings: readonly string[];
}

export class LaunchKit implements AsyncDisposable {
  readonly #directory = tempDir('launch');
  readonly root: string;
  readonly rootfs: string;
  readonly launcher: Launcher;
  /** Ids of all containers ever made here: others may run at the same time. */
  readonly #ours = new Set<string>();

  constructor() {
    this.root = join(this.#directory.path, 'store');
    this.rootfs = join(this.#directory.path, 'rootfs');
    mkdirSync(this.root);
    // Each test says that it needs it.
    if (programPath('busybox') !== undefined) makeBusyboxRootfs(this.rootfs);
    this.launcher = createLauncher({ root: this.root });
  }

  /** A further directory, on the host. */
  directory(name: string): string {
    const path = join(this.#directory.path, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  spec(options: RunOptions, config: RuntimeConfig = {}): ContainerSpec {
    const id = newContainerId();
    this.#ours.add(id);
    return buildSpec({
      id,
      image: 'busybox',
      config: { platform: { os: 'linux', architecture: process.arch }, config, diffIDs: [], history: [] },
      rootfs: [{ type: 'bind', source: this.rootfs, options: [] }],
      options,
    });
  }

  /** Runs to the end and removes. */
  async run(options: RunOptions, io: ForegroundIO & { readonly input?: string } = {}): Promise<Ran> {
    const spec = this.spec(options);
    const warnings: string[] = [];
    const process = await this.launcher.run(spec, {
      stdio: ['pipe', 'pipe', 'pipe'],
      onWarning: (message) => warnings.push(message),
      ...io,
    });
    process.stdin?.end(io.input ?? '');
    const [stdout, stderr, result] = await Promise.all([
      process.stdout ? text(process.stdout) : '',
      process.stderr ? text(process.stderr) : '',
      process.exited,
    ]);
    await this.launcher.remove(spec.id);
    return { ...result, id: spec.id, stdout, stderr, warnings };
  }

  /** The output of a shell script; its errors are the test's. */
  async sh(script: string, options: RunOptions = {}): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run({ ...options, command: ['sh', '-c', script] });
    assert.equal(exitCode, 0, stderr);
    return stdout;
  }

  /** Containers, cgroups, mounts and init processes that are there and should not be. */
  leftovers(): string[] {
    const containers = join(this.root, 'containers');
    const cgroups = findHierarchies()
      .map(({ mountpoint }) => join(mountpoint, 'tslayer'))
      .filter((parent) => existsSync(parent))
      .flatMap((parent) => readdirSync(parent).map((name) => join(parent, name)))
      .filter((path) => this.#ours.has(path.slice(-12)));
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.#directory.path));
    const states = existsSync(containers) ? readdirSync(containers).filter((name) => name !== '.lock') : [];
    return [...states, ...cgroups, ...mounts, ...processesIn(this.#directory.path)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { id } of await this.launcher.list()) await this.launcher.remove(id, { force: true });
    this.#directory[Symbol.dispose]();
  }
}

/** Processes whose command line names a directory: watchers, and inits that were never told what to do. */
function processesIn(directory: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(directory))
    .map((pid) => `process ${pid}: ${commandLine(pid)}`);
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
