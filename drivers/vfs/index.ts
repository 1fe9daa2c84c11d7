/**
 * vfs: every layer and snapshot is a whole tree, a copy of the one below. Works on any file system and kernel, and
 * costs a copy each; where the file system shares blocks (btrfs, XFS) the copy costs metadata only.
 *
 *   DIRECTORY/ID/tree     the whole root file system
 *   DIRECTORY/ID/origin   of a snapshot: what its tree was copied from (origin.ts)
 *   DIRECTORY/.empty      nothing
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { extractionPlan } from '../../src/archive/extract/plan.ts';
import type { SinkResult } from '../../src/archive/sink.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { closeFd } from '../../src/sys/libc.ts';
import { changesOf } from '../changes/index.ts';
import { wholeTree } from '../changes/spelling.ts';
import { Directories } from '../directories/directories.ts';
import { dressRoot, openDirectory } from '../directories/root.ts';
import type {
  Change,
  DriverModule,
  LayerApplication,
  LayerId,
  LayerToVerify,
  MountRequest,
  Stack,
  StorageDriver,
  Usage,
} from '../driver.ts';
import { type CopyResult, copyTree } from '../tree/copy.ts';
import { inSlices } from '../tree/slices.ts';
import { readOrigin, writeOrigin } from './origin.ts';
import { probeVfs } from './probe.ts';

const TREE = 'tree';
const ORIGIN = 'origin';
const EMPTY = '.empty';

class VfsDriver implements StorageDriver {
  readonly name = 'vfs';
  readonly stacking = 'sequential';
  readonly #directories: Directories;

  constructor(directories: Directories) {
    this.#directories = directories;
  }

  async apply(id: LayerId, parent: Stack, { durable }: { readonly durable: boolean }): Promise<LayerApplication> {
    const draft = this.#directories.begin(id);
    try {
      await this.#copy(parent, draft.path);
    } catch (error) {
      await draft.discard();
      throw error;
    }
    return {
      sink: extractionPlan({ dir: join(draft.path, TREE), spelling: 'apply', durable }),
      commit: async (_result: SinkResult) => draft.publish(durable),
      abort: () => draft.discard(),
    };
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    await this.#directories.make(id, async (path) => {
      const { directories } = await this.#copy(parent, path);
      writeOrigin(join(path, ORIGIN), directories);
    });
  }

  /** Makes the tree of a new directory: a copy of the parent's, or an empty one. */
  async #copy([top]: Stack, directory: string): Promise<CopyResult> {
    const tree = join(directory, TREE);
    mkdirSync(tree);
    if (top !== undefined) {
      this.#directories.require(top);
      return inSlices(copyTree(this.#directories.of(top, TREE), tree));
    }
    dressRoot(tree, undefined);
    return { reflinked: false, directories: new BigUint64Array() };
  }

  async mounts(id: LayerId | undefined, [top]: Stack, request: MountRequest): Promise<readonly Mount[]> {
    const shown = id ?? top;
    const source = shown === undefined ? join(this.#directories.path, EMPTY) : this.#directories.of(shown, TREE);
    const access = id === undefined || request.readOnly ? ['ro'] : ['rw'];
    const idmap = request.userNamespaceFd;
    const shift = idmap === undefined ? [] : [`idmap=/proc/self/fd/${idmap}`];
    return [{ type: 'bind', source, options: [...access, ...shift] }];
  }

  async *changes(id: LayerId, [top]: Stack): AsyncGenerator<Change, void> {
    this.#directories.require(id);
    const parentRoot = top === undefined ? undefined : this.#directories.of(top, TREE);
    const parent = parentRoot === undefined ? undefined : openDirectory(parentRoot);
    try {
      const origin = readOrigin(this.#directories.of(id, ORIGIN));
      yield* changesOf({ tree: this.#directories.of(id, TREE), spelling: wholeTree, parent, parentRoot, origin });
    } finally {
      if (parent !== undefined) closeFd(parent);
    }
  }

  async verify(id: LayerId, layer: LayerToVerify): Promise<string | undefined> {
    const directories = this.#directories;
    const { verifyTree } = await import('../verify/index.ts');
    const expected = await layer.tree();
    return verifyTree({ tree: directories.of(id, TREE), spelling: wholeTree, expected, directories });
  }

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

export const driver: DriverModule = {
  name: 'vfs',
  summary: 'a whole copy each layer and snapshot: works everywhere, by reflink where there is one',
  probe: probeVfs,
  async open(directory) {
    const directories = await Directories.open(directory);
    mkdirSync(join(directories.path, EMPTY), { recursive: true });
    return new VfsDriver(directories);
  },
};
