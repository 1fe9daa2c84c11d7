/**
 * A storage driver from outside: a btrfs subvolume for each layer, a snapshot of it for each mount. Uses nothing but
 * the public interface of tslayer. `tslayer --driver ./examples/btrfs-driver/index.ts pull alpine`
 *
 *   DIRECTORY/ID/tree   a subvolume with the whole root file system; of a layer it is read-only
 *
 * Making a snapshot and deleting one cost the same for a terabyte as for nothing; equal blocks are stored once.
 */
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import type {
  Change,
  DriverModule,
  LayerApplication,
  LayerId,
  LayerToVerify,
  MountRequest,
  Probe,
  Stack,
  StorageDriver,
  Usage,
} from 'tslayer/drivers';
import {
  changesOf,
  Directories,
  dressRoot,
  extractionPlan,
  type Mount,
  type Origin,
  openMounts,
  verifyTree,
  wholeTree,
} from 'tslayer/drivers/toolkit';
import { createSubvolume, destroySubvolume, setReadOnly, snapshotSubvolume } from './subvolumes.ts';

const TREE = 'tree';
const EMPTY = '.empty';
const BTRFS = 0x9123683e;

/** A snapshot has the inode numbers and times of its source until something is done to a file. */
const ORIGIN: Origin = {
  sameDirectory: (now, parent) => now.ino === parent.ino,
  untouched: (now, parent) =>
    now.ino === parent.ino &&
    now.ctimeSeconds === parent.ctimeSeconds &&
    now.ctimeNanoseconds === parent.ctimeNanoseconds,
};

class BtrfsDriver implements StorageDriver {
  readonly name = 'btrfs';
  readonly stacking = 'sequential';
  readonly #directories: Directories;

  constructor(directories: Directories) {
    this.#directories = directories;
  }

  async apply(id: LayerId, parent: Stack, { durable }: { readonly durable: boolean }): Promise<LayerApplication> {
    const draft = this.#directories.begin(id);
    const tree = join(draft.path, TREE);
    try {
      this.#makeTree(tree, parent);
    } catch (error) {
      await draft.discard();
      throw error;
    }
    return {
      sink: extractionPlan({ dir: tree, spelling: 'apply', durable }),
      async commit() {
        setReadOnly(tree, true);
        draft.publish(durable);
      },
      abort: () => draft.discard(),
    };
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    await this.#directories.make(id, (path) => this.#makeTree(join(path, TREE), parent));
  }

  #makeTree(tree: string, [top]: Stack): void {
    if (top === undefined) {
      createSubvolume(tree);
      dressRoot(tree, undefined);
      return;
    }
    this.#directories.require(top);
    snapshotSubvolume(this.#directories.of(top, TREE), tree);
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]> {
    return this.#mounts(id, parent, request);
  }

  #mounts(id: LayerId | undefined, [top]: Stack, request: MountRequest): Mount[] {
    const shown = id ?? top;
    const source = shown === undefined ? join(this.#directories.path, EMPTY) : this.#directories.of(shown, TREE);
    const options = [id === undefined || request.readOnly ? 'ro' : 'rw'];
    const namespace = request.userNamespaceFd;
    if (namespace !== undefined) options.push(`idmap=/proc/self/fd/${namespace}`);
    return [{ type: 'bind', source, options }];
  }

  async *changes(id: LayerId, parent: Stack): AsyncGenerator<Change, void> {
    this.#directories.require(id);
    const [top] = parent;
    using below = top === undefined ? undefined : openMounts(this.#mounts(undefined, parent, {}));
    yield* changesOf({
      tree: this.#directories.of(id, TREE),
      spelling: wholeTree,
      parent: below?.fd,
      parentRoot: top === undefined ? undefined : this.#directories.of(top, TREE),
      origin: ORIGIN,
    });
  }

  async verify(id: LayerId, layer: LayerToVerify): Promise<string | undefined> {
    const directories = this.#directories;
    const expected = await layer.tree();
    return verifyTree({ tree: directories.of(id, TREE), spelling: wholeTree, expected, directories });
  }

  /** As `du` counts: blocks that snapshots share are counted for each of them. */
  usage(id: LayerId): Promise<Usage> {
    return this.#directories.usage(id);
  }

  remove(id: LayerId): Promise<void> {
    return this.#directories.remove(id);
  }

  async *list(): AsyncGenerator<LayerId, void> {
    yield* this.#directories.list();
  }
}

/** Subvolumes that a container made inside are left to the ordinary deletion, which rmdir(2) allows when empty. */
function dismantle(path: string): void {
  const tree = join(path, TREE);
  if (!existsSync(tree)) return;
  setReadOnly(tree, false);
  try {
    destroySubvolume(tree);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
  }
}

/** Makes a subvolume where the store is, snapshots it, and deletes both. */
async function probe(directory: string): Promise<Probe> {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (statfsSync(directory).type !== BTRFS) {
      return { available: false, reason: `${directory} does not lie on btrfs`, features: {} };
    }
    const temporary = mkdtempSync(join(directory, '.probe-'));
    createSubvolume(join(temporary, 'one'));
    snapshotSubvolume(join(temporary, 'one'), join(temporary, 'two'));
    for (const name of ['one', 'two']) destroySubvolume(join(temporary, name));
    rmdirSync(temporary);
    return { available: true, reason: 'subvolumes can be made here', features: { snapshots: true } };
  } catch (error) {
    return { available: false, reason: error instanceof Error ? error.message : String(error), features: {} };
  }
}

export const driver: DriverModule = {
  name: 'btrfs',
  summary: 'a btrfs subvolume a layer, a snapshot a mount',
  probe,
  async open(directory) {
    const directories = await Directories.open(directory, { dismantle });
    mkdirSync(join(directory, EMPTY), { recursive: true });
    return new BtrfsDriver(directories);
  },
};
