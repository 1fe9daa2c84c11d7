/**
 * What is known of containers, on disk:
 *
 *   ROOT/containers/
 *     .lock               held while a container is added or removed: names are unique
 *     ID/config.json      the spec and the time of its making; never changes
 *     ID/state.json       replaced as a whole; none before the program runs
 *     ID/lock             flock(2), held by whoever watches the container, for as long as it lives
 *     ID/rootfs           an empty directory, mounted on inside the container's mount namespace only
 *     ID/files/           hosts, hostname, resolv.conf
 *     ID/log              of a detached one
 *     ID/attach           a socket of its watcher
 *     ID/waiters          held, shared, by whoever waits for its end: its removal lets them see it
 *
 * `running` in a state whose lock is free means that the watcher died, and with it, by the kernel's doing, the
 * container.
 */
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../errors.ts';
import { storePaths } from '../store-layout.ts';
import { hasErrno } from '../sys/libc.ts';
import { type FileLock, lock, tryLock } from '../sys/locks.ts';
import { namesIn } from '../sys/names-in.ts';
import { syncDirectory } from '../sys/sync-directory.ts';
import type { ContainerState } from './launcher.ts';
import { replaceFile } from './replace-file.ts';
import type { ContainerSpec } from './spec.ts';

/** What config.json holds. */
export interface ContainerRecord {
  readonly createdAt: string;
  readonly spec: ContainerSpec;
}

/** What only the launcher needs to know of a state. */
export interface StoredState extends ContainerState {
  /** Of the watcher, or of the caller of a foreground container. */
  readonly watcher?: { readonly pid: number; readonly startTime?: number | undefined };
  /** Of the first process, in clock ticks since boot: with it, a pid means one process only. */
  readonly startTime?: number;
}

const ID = /^[0-9a-f]{12}$/;
const WAITERS_MS = 1000;
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** Whoever looks whether the container lives makes its lock anew, also while its directory is removed: once more, then. */
const REMOVAL = { recursive: true, force: true, maxRetries: 20, retryDelay: 5 } as const;

export class ContainerStore {
  readonly directory: string;
  /** Where image files are mounted that several containers are made of. */
  readonly stages: string;

  /** @param root the store's root, absolute. */
  constructor(root: string) {
    const { containers, stages } = storePaths(root);
    this.directory = containers;
    this.stages = stages;
  }

  paths(id: string): ContainerPaths {
    const base = `${this.directory}/${id}`;
    return {
      base,
      config: `${base}/config.json`,
      state: `${base}/state.json`,
      lock: `${base}/lock`,
      rootfs: `${base}/rootfs`,
      files: `${base}/files`,
      log: `${base}/log`,
      attach: `${base}/attach`,
      waiters: `${base}/waiters`,
    };
  }

  /** ALREADY_EXISTS when the id or the name is taken. Returns the container's lock, held. */
  async add(spec: ContainerSpec, durable: boolean = false): Promise<FileLock> {
    if (!ID.test(spec.id)) throw new TslayerError('INVALID_ARGUMENT', `${spec.id} is no container id`);
    if (!NAME.test(spec.name)) {
      throw new TslayerError('INVALID_ARGUMENT', `${JSON.stringify(spec.name)} is no container name`, {
        hint: 'use letters, digits, and _ . - after the first',
      });
    }
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    using _lock = await lock(this.#lockPath);
    const taken = this.list().find(({ spec: other }) => other.name === spec.name || other.id === spec.id);
    if (taken) throw new TslayerError('ALREADY_EXISTS', `the container name ${spec.name} is taken by ${taken.spec.id}`);
    try {
      return this.#furnish(spec, durable);
    } catch (error) {
      this.remove(spec.id);
      throw error;
    }
  }

  #furnish(spec: ContainerSpec, durable: boolean): FileLock {
    const paths = this.paths(spec.id);
    for (const directory of [paths.base, paths.rootfs, paths.files]) mkdirSync(directory, { mode: 0o700 });
    writeGeneratedFiles(spec, paths.files);
    const held = tryLock(paths.lock);
    if (!held) throw new TslayerError('IN_USE', `the container ${spec.id} is being made by someone else`);
    try {
      // Last: without it, the directory is no container yet.
      const record: ContainerRecord = { createdAt: new Date().toISOString(), spec };
      replaceFile(paths.config, JSON.stringify(record), 0o600, durable);
      if (durable) syncDirectory(this.directory);
    } catch (error) {
      held[Symbol.dispose]();
      throw error;
    }
    return held;
  }

  get #lockPath(): string {
    return join(this.directory, '.lock');
  }

  /** Oldest first. */
  list(): ContainerRecord[] {
    return this.ids()
      .map((id) => this.read(id))
      .filter((record) => record !== undefined)
      .toSorted(byAge);
  }

  ids(): string[] {
    return namesIn(this.directory).filter((name) => ID.test(name));
  }

  read(id: string): ContainerRecord | undefined {
    return readJson<ContainerRecord>(this.paths(id).config);
  }

  /** By name, id, or the beginning of one id. */
  find(name: string): ContainerRecord {
    const known = ID.test(name) ? this.read(name) : undefined;
    if (known) return known;
    const all = this.list();
    const exact = all.find(({ spec }) => spec.name === name || spec.id === name);
    if (exact) return exact;
    const matching = name === '' ? [] : all.filter(({ spec }) => spec.id.startsWith(name));
    if (matching.length === 1) return matching[0]!;
    if (matching.length === 0) throw new TslayerError('NOT_FOUND', `there is no container ${JSON.stringify(name)}`);
    throw new TslayerError('INVALID_ARGUMENT', `${name} is the beginning of ${matching.length} container ids`);
  }

  readState(id: string): StoredState {
    return readJson<StoredState>(this.paths(id).state) ?? { status: 'created' };
  }

  writeState(id: string, state: StoredState, durable: boolean = false): void {
    replaceFile(this.paths(id).state, JSON.stringify(state), 0o600, durable);
  }

  /** Whether whoever watched it has done all that he does, and its state is on the disk. */
  isLetGo(id: string): boolean {
    if (!existsSync(this.paths(id).base)) return true;
    using held = this.tryLock(id);
    return held !== undefined || !existsSync(this.paths(id).base);
  }

  /** The container's lock if nobody watches it. */
  tryLock(id: string): FileLock | undefined {
    try {
      return tryLock(this.paths(id).lock);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Keeps the container from being removed for a moment. Undefined when it is gone. */
  async tryWait(id: string): Promise<FileLock | undefined> {
    try {
      return await lock(this.paths(id).waiters, { mode: 'shared' });
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  /** Until those who wait have seen the end; not for long, since one may be stopped. */
  async letWaitersSee(id: string): Promise<void> {
    const { waiters } = this.paths(id);
    if (!existsSync(waiters)) return;
    const signal = AbortSignal.timeout(WAITERS_MS);
    try {
      using _all = await lock(waiters, { signal });
    } catch (error) {
      if (!signal.aborted && !hasErrno(error, 'ENOENT')) throw error;
    }
  }

  remove(id: string): void {
    const { base, config } = this.paths(id);
    // First: what is left after a crash is no container any more, and the next sweep takes it.
    rmSync(config, { force: true });
    rmSync(base, REMOVAL);
  }

  /** Removes directories that never became a container, or no longer are one. */
  sweep(): void {
    if (!existsSync(this.directory)) return;
    // Someone is adding one: it has a directory before it has anything else.
    using all = tryLock(this.#lockPath);
    if (!all) return;
    for (const id of this.ids()) this.#dropRemains(id);
  }

  /** The same for one of them. IN_USE when it is a container. */
  async clear(id: string): Promise<void> {
    if (!existsSync(this.directory)) return;
    using _all = await lock(this.#lockPath);
    if (!this.#dropRemains(id)) throw new TslayerError('IN_USE', `the container ${id} was made meanwhile`);
  }

  /** False when it is a container. Nobody else may be adding one. */
  #dropRemains(id: string): boolean {
    // One whose record the end of the machine has cut short is no container, either.
    if (this.read(id) !== undefined) return false;
    rmSync(this.paths(id).base, REMOVAL);
    return true;
  }
}

export interface ContainerPaths {
  readonly base: string;
  readonly config: string;
  readonly state: string;
  readonly lock: string;
  readonly rootfs: string;
  readonly files: string;
  readonly log: string;
  readonly attach: string;
  readonly waiters: string;
}

/** Not by localeCompare, whose first call in a process takes as long as starting a container. */
function byAge(a: ContainerRecord, b: ContainerRecord): number {
  if (a.createdAt === b.createdAt) return 0;
  return a.createdAt < b.createdAt ? -1 : 1;
}

/** hosts, hostname and resolv.conf, for the container's root to own and change as anywhere else. */
export function writeGeneratedFiles(spec: ContainerSpec, directory: string): void {
  const [uid, gid] = [spec.userNamespace?.uids[0]?.hostID, spec.userNamespace?.gids[0]?.hostID];
  for (const [name, text] of generatedFiles(spec)) {
    replaceFile(join(directory, name), text, 0o644);
    if (uid !== undefined && gid !== undefined) chownSync(join(directory, name), uid, gid);
  }
}

function generatedFiles({ files }: ContainerSpec): [name: string, text: string][] {
  const all: [string, string | undefined][] = [
    ['hosts', files.hosts],
    ['hostname', files.hostname],
    ['resolv.conf', files.resolvConf],
  ];
  return all.filter((entry): entry is [string, string] => entry[1] !== undefined);
}

/** Undefined for a file that is not there, or that was cut short by the end of the machine. */
function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T;
  } catch (error) {
    if (hasErrno(error, 'ENOENT') || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
