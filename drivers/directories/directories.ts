/**
 * Layers and snapshots as directories, for drivers that keep them so:
 *
 *   DIRECTORY/ID/                       whole: it got its name when it was complete
 *   DIRECTORY/.underway/ID/             being made by the process that holds ID.lock
 *   DIRECTORY/.underway/ID.lock
 *   DIRECTORY/.underway/ID.removing-…/  being deleted
 *
 * Leftovers of both kinds are swept when the store is opened, by whoever opens it.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { type MountInfo, readMountInfo } from '../../src/mounts/mountinfo.ts';
import { findUser } from '../../src/mounts/users.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { type FileLock, tryLock } from '../../src/sys/locks.ts';
import { syncDirectory } from '../../src/sys/sync-directory.ts';
import type { LayerId, Usage } from '../driver.ts';
import { removeTree } from '../tree/remove.ts';
import { inSlices } from '../tree/slices.ts';
import { treeUsage } from '../tree/usage.ts';
import { isId, isRemoving, LOCK_SUFFIX, REMOVING_SUFFIX, requireId, UNDERWAY } from './names.ts';

/** A directory being made. Exactly one of `publish` and `discard` ends it; `discard` may be called again. */
export interface Draft {
  /** Where it is for now. */
  readonly path: string;
  /** Gives it its name. `durable`: it still has it after a power cut. */
  publish(durable: boolean): void;
  discard(): Promise<void>;
}

const MOUNT_TABLE_MS = 20;

export interface DirectoriesOptions {
  /** Takes out of a directory what unlink(2) would be slow at or cannot delete (a subvolume), before the rest goes. */
  readonly dismantle?: (path: string) => void;
  /** Sweeps what else a crash leaves in `.underway`, by its name. Called for each when the store is opened. */
  readonly sweep?: (name: string) => void;
}

export class Directories {
  readonly path: string;
  readonly #options: DirectoriesOptions;
  #removals = 0;
  #mounts: { readonly table: readonly MountInfo[]; readonly readAt: number } | undefined;

  private constructor(path: string, options: DirectoriesOptions) {
    this.path = path;
    this.#options = options;
  }

  static async open(path: string, options: DirectoriesOptions = {}): Promise<Directories> {
    mkdirSync(join(path, UNDERWAY), { recursive: true, mode: 0o700 });
    const directories = new Directories(path, options);
    await directories.#sweep();
    return directories;
  }

  of(id: LayerId, ...parts: readonly string[]): string {
    return join(this.path, requireId(id), ...parts);
  }

  /** Where something of that name is made, before it has its name. */
  underway(name: string): string {
    return join(this.path, UNDERWAY, name);
  }

  has(id: LayerId): boolean {
    return existsSync(this.of(id));
  }

  /** @throws TslayerError NOT_FOUND */
  require(id: LayerId): void {
    if (!this.has(id)) throw new TslayerError('NOT_FOUND', `no layer ${id} in ${this.path}`);
  }

  /** @throws TslayerError IN_USE while another process makes the same, ALREADY_EXISTS when it is there. */
  begin(id: LayerId): Draft {
    const final = this.of(id);
    const path = this.underway(id);
    const lock = tryLock(path + LOCK_SUFFIX);
    if (!lock) throw new TslayerError('IN_USE', `layer ${id} is being written by another process`);
    try {
      if (existsSync(final)) throw new TslayerError('ALREADY_EXISTS', `layer ${id} exists already`);
      // What a crash left under our name is ours to clear: we hold its lock.
      this.#options.dismantle?.(path);
      for (const _ of removeTree(path));
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      release(lock);
      throw error;
    }
    return this.#draft(path, final, lock);
  }

  /** A snapshot: filled, then named; nothing of it is left when that fails. Errors as of `begin`. */
  async make<T>(id: LayerId, fill: (path: string) => T | Promise<T>): Promise<T> {
    const draft = this.begin(id);
    try {
      const result = await fill(draft.path);
      draft.publish(false);
      return result;
    } catch (error) {
      await draft.discard();
      throw error;
    }
  }

  #draft(path: string, final: string, lock: FileLock): Draft {
    let open = true;
    return {
      path,
      publish: (durable) => {
        renameSync(path, final);
        if (durable) syncDirectory(this.path);
        open = false;
        release(lock);
      },
      discard: async () => {
        if (!open) return this.discard(final);
        open = false;
        await this.#delete(path);
        release(lock);
      },
    };
  }

  /**
   * The name is gone when the first `await` returns control; the deletion follows.
   *
   * @throws TslayerError IN_USE while it is mounted where this process can see it. Layers below a mount that vanish
   *   are undefined behaviour; whoever keeps the books should not get this far.
   */
  async remove(id: LayerId): Promise<void> {
    // A table that is a moment old may still have a mount that is gone.
    const user = findUser(this.of(id), this.#mountTable()) && findUser(this.of(id));
    if (user) throw new TslayerError('IN_USE', `layer ${id} is mounted at ${user.mountPoint}`);
    await this.discard(this.of(id));
  }

  /** Read anew after a moment: an image's layers are removed one after the other. */
  #mountTable(): readonly MountInfo[] {
    const now = performance.now();
    if (!this.#mounts || now - this.#mounts.readAt > MOUNT_TABLE_MS)
      this.#mounts = { table: readMountInfo(), readAt: now };
    return this.#mounts.table;
  }

  /** Takes away what lies in the driver's directory: its name at once, so that no half of it is ever found there. */
  async discard(path: string): Promise<void> {
    const trash = this.underway(`${basename(path)}${REMOVING_SUFFIX}-${process.pid}-${this.#removals++}`);
    try {
      renameSync(path, trash);
    } catch (error) {
      if (hasErrno(error, 'ENOENT')) return;
      throw error;
    }
    await this.#deleteTrash(trash);
  }

  /** Under a lock of its own: whoever opens the store meanwhile leaves it to us, or we to him. */
  async #deleteTrash(path: string): Promise<void> {
    const lock = tryLock(path + LOCK_SUFFIX);
    if (!lock) return;
    try {
      await this.#delete(path);
    } finally {
      release(lock);
    }
  }

  async #delete(path: string): Promise<void> {
    this.#options.dismantle?.(path);
    await inSlices(removeTree(path));
  }

  *list(): Generator<LayerId, void> {
    for (const name of readdirSync(this.path)) if (isId(name)) yield name;
  }

  usage(id: LayerId): Promise<Usage> {
    return inSlices(treeUsage(this.of(id)));
  }

  async #sweep(): Promise<void> {
    const names = readdirSync(join(this.path, UNDERWAY)).map((name) => name.replace(/\.lock$/, ''));
    for (const name of new Set(names)) {
      const sweep = async (): Promise<void> => {
        // A draft, too, is somebody's as long as its lock is held.
        if (isId(name) || isRemoving(name)) await this.#deleteTrash(this.underway(name));
        else this.#options.sweep?.(name);
      };
      // What cannot go now stays for another time, and a store opens: something is mounted in it, or another driver
      // made it in the course of a conversion.
      await sweep().catch(() => undefined);
    }
  }
}

/** Unlinked while it is held: whoever opened the file meanwhile sees that it holds a ghost. */
function release(lock: FileLock): void {
  rmSync(lock.path, { force: true });
  lock[Symbol.dispose]();
}
