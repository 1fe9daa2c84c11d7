/** The stages of one list of mounts: where each lives while the mounts above it are made. */
import { mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../errors.ts';
import { closeFd } from '../sys/libc.ts';
import type { FileLock } from '../sys/locks.ts';
import { attachMount, MNT_DETACH, OPEN_TREE_CLONE, openTree, UMOUNT_NOFOLLOW, umount } from '../sys/mount-api.ts';
import { type MappedRoot, openMount, rootOf, shiftOwners } from './detached.ts';
import type { Mount } from './mount.ts';
import { acquireStage, lockStages } from './shared-stages.ts';

export interface StagePlaces {
  /** Directory of shared stages; without one each list has its own. */
  readonly shared: string | undefined;
  /** Directory for stages that must be attached somewhere. */
  readonly scratch: string;
  /** Whether layers may lie on mounts that are attached nowhere. */
  readonly detached: boolean;
}

interface Stage {
  readonly path: string;
  readonly idmapped: MappedRoot | undefined;
}

const NAME = /^stage:([0-9a-zA-Z._-]+)((?:\/.*)?)$/;

/** Opens stages as they come, resolves `stage:NAME`, and takes everything private away when disposed. */
export class Stages implements Disposable {
  readonly #places: StagePlaces;
  readonly #stages = new Map<string, Stage>();
  readonly #fds: number[] = [];
  readonly #attached: string[] = [];
  #directory: string | undefined;
  #lock: FileLock | undefined;

  constructor(places: StagePlaces) {
    this.#places = places;
  }

  add(name: string, mount: Mount): void {
    if (this.#stages.has(name)) return;
    const idmap = mount.options.find((option) => option.startsWith('idmap='));
    const plain = { ...mount, options: mount.options.filter((option) => option !== idmap) };
    const shared = this.#places.shared;
    // A bind mount has the page cache of what it binds: only file systems gain by sharing.
    const path = shared !== undefined && mount.type !== 'bind' ? this.#share(shared, name, plain) : undefined;
    if (path !== undefined && idmap === undefined) {
      this.#stages.set(name, { path, idmapped: undefined });
      return;
    }
    const fd = path === undefined ? openMount(plain) : openTree(path, OPEN_TREE_CLONE);
    this.#fds.push(fd);
    if (idmap !== undefined) shiftOwners(fd, idmap.slice('idmap='.length));
    const idmapped = idmap === undefined ? undefined : rootOf(fd);
    this.#stages.set(name, { path: this.#places.detached ? `/proc/self/fd/${fd}` : this.#attach(fd, name), idmapped });
  }

  /** The mount with every `stage:NAME` in it replaced by a path. */
  resolve(mount: Mount): Mount {
    const options = mount.options.map((option) => {
      const at = option.indexOf('=');
      return option.slice(0, at + 1) + this.#locate(option.slice(at + 1));
    });
    return { ...mount, source: this.#locate(mount.source), options };
  }

  /** Whom overlayfs' own files belong to, when the mount's upper directory lies on an idmapped stage. */
  ownerFor(mount: Mount): MappedRoot | undefined {
    const upper = mount.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length) ?? '';
    return this.#stages.get(NAME.exec(upper)?.[1] ?? '')?.idmapped;
  }

  #locate(text: string): string {
    const [, name, rest] = NAME.exec(text) ?? [];
    if (name === undefined) return text;
    const stage = this.#stages.get(name);
    if (!stage) throw new TslayerError('INVALID_ARGUMENT', `no mount before makes the stage ${name}`);
    return stage.path + rest;
  }

  #share(directory: string, name: string, mount: Mount): string {
    this.#lock ??= lockStages(directory);
    return acquireStage(directory, name, mount);
  }

  #attach(fd: number, name: string): string {
    this.#directory ??= makePlace(this.#places.scratch);
    const path = join(this.#directory, name);
    mkdirSync(path, { mode: 0o700 });
    attachMount(fd, path);
    this.#attached.push(path);
    return path;
  }

  [Symbol.dispose](): void {
    for (const path of this.#attached.splice(0)) umount(path, MNT_DETACH | UMOUNT_NOFOLLOW);
    if (this.#directory !== undefined) removeEmpty(this.#directory);
    for (const fd of this.#fds.splice(0)) closeFd(fd);
    this.#lock?.[Symbol.dispose]();
  }
}

/** Never recursively: what could still be mounted in it is not ours to delete. */
function removeEmpty(directory: string): void {
  for (const name of readdirSync(directory)) rmdirSync(join(directory, name));
  rmdirSync(directory);
}

/**
 * In /run where that can be: after a crash a stage may still be mounted there, writable, and nobody deletes what lies
 * in /run, as a scratch directory's owner would.
 */
function makePlace(scratch: string): string {
  try {
    return mkdtempSync('/run/tslayer-stages-');
  } catch {
    return mkdtempSync(join(scratch, 'stages-'));
  }
}
