/**
 * AUFS, the union file system that Docker began with; for kernels that still carry it.
 *
 *   DIRECTORY/ID/diff              a layer's branch, whiteouts as files `.wh.NAME`; or a snapshot's writable branch
 *   DIRECTORY/ID/implied           directories that the layer's tar implied (directories/implied.ts)
 *   DIRECTORY/.stacks/HASH/diff    their looks in one stack (directories/looks.ts)
 *   DIRECTORY/.stacks/HASH/above-N what a stack hides and AUFS would show (covers.ts)
 *   DIRECTORY/.empty               nothing
 *
 * AUFS keeps books of its own in writable branches (`.wh..wh.aufs`, `.wh..wh.orph`, `.wh..wh.plnk`); they stay after
 * the unmount and are no part of any layer. Hard links that are copied up by halves are flushed before an unmount
 * (src/mounts/aufs-links.ts), and before a look at what has changed.
 */
import { mkdirSync, realpathSync, statfsSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { flushUnionOf } from '../../src/mounts/aufs-links.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { openMounts } from '../../src/mounts/open.ts';
import { requireUnused } from '../../src/mounts/users.ts';
import { aufsSpelling } from '../changes/aufs.ts';
import { changesOf } from '../changes/index.ts';
import { Directories } from '../directories/directories.ts';
import { kindsOfLooks } from '../directories/looks.ts';
import { dressRoot, explicitRoot } from '../directories/root.ts';
import { DirectoryCaches } from '../directories/stack-caches.ts';
import { stacksWith, sweepStack } from '../directories/stacks.ts';
import { beginUnpacking } from '../directories/unpacked.ts';
import type {
  Change,
  DriverModule,
  LayerApplication,
  LayerId,
  LayerToVerify,
  MountRequest,
  Stack,
  StackCaches,
  StorageDriver,
  Usage,
} from '../driver.ts';
import { layerBranches, looksContext } from './branches.ts';
import { kindOfCovers } from './covers.ts';
import { type AufsPlaces, aufsPlaces, DIFF } from './places.ts';
import { aufsMounts, canBeBranch } from './plan.ts';
import { type OptionalOptions, optionsHere, probeAufs } from './probe.ts';

const EMPTY = '.empty';
const TMPFS = 0x01021994;

export interface AufsKernel extends OptionalOptions {
  /** The writable branch lies on tmpfs. */
  readonly tmpfs: boolean;
}

export class AufsDriver implements StorageDriver {
  readonly name = 'aufs';
  readonly stacking = 'independent';
  readonly caches: StackCaches;
  readonly #directories: Directories;
  readonly #places: AufsPlaces;
  #kernel: AufsKernel | undefined;

  /** @param kernel what is found by trying, when it first matters, unless it is given */
  constructor(directories: Directories, places: AufsPlaces, kernel?: AufsKernel) {
    this.#directories = directories;
    this.caches = new DirectoryCaches(directories, [
      kindOfCovers(directories),
      ...kindsOfLooks(looksContext(directories)),
    ]);
    this.#places = places;
    this.#kernel = kernel;
  }

  async apply(id: LayerId, _parent: Stack, { durable }: { readonly durable: boolean }): Promise<LayerApplication> {
    return beginUnpacking(this.#directories, id, { part: DIFF, durable, how: { spelling: 'aufs' } });
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    for (const layer of parent) this.#directories.require(layer);
    return this.#directories.make(id, (path) => {
      const branch = join(path, DIFF);
      mkdirSync(branch);
      makeBooks(branch);
      dressRoot(branch, explicitRoot(this.#directories, parent, DIFF));
    });
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]> {
    return this.#mounts(id, parent, request);
  }

  #mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Mount[] {
    if (request.userNamespaceFd !== undefined) {
      throw new TslayerError('UNSUPPORTED', 'AUFS cannot shift the owners of its branches for a user namespace', {
        hint: 'use --driver overlayfs',
      });
    }
    const writable = id !== undefined && !request.readOnly;
    const below = layerBranches(this.#directories, parent, id === undefined);
    const layers = id === undefined || writable ? below : [id, ...below];
    if (!writable && layers.length === 0) {
      return [{ type: 'bind', source: join(this.#directories.path, EMPTY), options: ['ro'] }];
    }
    const { acl, dirperm1, tmpfs } = this.#findKernel();
    return aufsMounts({
      writable: writable ? this.#directories.of(id, DIFF) : undefined,
      layers: layers.map((layer) => join(this.#directories.path, layer, DIFF)),
      xino: this.#places.xino(id ?? basename(layers[0] ?? 'view')),
      acl,
      dirperm1,
      ignoreXattrErrors: tmpfs,
      lock: this.#places.lock,
    });
  }

  #findKernel(): AufsKernel {
    const { path } = this.#directories;
    this.#kernel ??= { ...optionsHere(path), tmpfs: statfsSync(path).type === TMPFS };
    return this.#kernel;
  }

  async *changes(id: LayerId, parent: Stack): AsyncGenerator<Change, void> {
    this.#directories.require(id);
    const tree = this.#directories.of(id, DIFF);
    // A name that only exists as a pseudo-link is not in the branch yet.
    flushUnionOf(tree);
    using below = parent.length === 0 ? undefined : openMounts(this.#mounts(undefined, parent, {}));
    const parentRoot = explicitRoot(this.#directories, parent, DIFF);
    yield* changesOf({ tree, spelling: aufsSpelling, parent: below?.fd, parentRoot });
  }

  async verify(id: LayerId, layer: LayerToVerify): Promise<string | undefined> {
    const directories = this.#directories;
    const { verifyTree, verifyImplied } = await import('../verify/index.ts');
    const expected = await layer.tree();
    const tree = directories.of(id, DIFF);
    const damage = await verifyTree({ tree, spelling: aufsSpelling, expected, directories });
    return damage ?? verifyImplied(directories.of(id), expected);
  }

  usage(id: LayerId): Promise<Usage> {
    return this.#directories.usage(id);
  }

  async remove(id: LayerId): Promise<void> {
    // AUFS' branches, a layer's as well as a snapshot's, are in no mount table.
    const stacks = stacksWith(this.#directories, id);
    requireUnused([this.#directories.of(id), ...stacks], `layer ${id}`);
    await this.#directories.remove(id);
    for (const path of stacks) await this.#directories.discard(path);
  }

  async *list(): AsyncGenerator<LayerId, void> {
    yield* this.#directories.list();
  }
}

/**
 * What AUFS would make in a writable branch when it is first mounted, as it would: the branch's root would have a new
 * time by that, and look changed though nobody has written to it.
 */
function makeBooks(branch: string): void {
  writeFileSync(join(branch, '.wh..wh.aufs'), '', { mode: 0o444 });
  for (const name of ['.wh..wh.orph', '.wh..wh.plnk']) mkdirSync(join(branch, name), { mode: 0o700 });
}

export const driver: DriverModule = {
  name: 'aufs',
  summary: 'a branch a layer, merged by AUFS: for kernels that have it and no overlayfs',
  probe: probeAufs,
  async open(given) {
    mkdirSync(given, { recursive: true, mode: 0o700 });
    // As the kernel will tell it.
    const directory = realpathSync(given);
    if (!canBeBranch(directory)) {
      const what = `AUFS cannot mount ${JSON.stringify(directory)}: it holds one of : , =`;
      throw new TslayerError('INVALID_ARGUMENT', what, { hint: 'choose another --root' });
    }
    const directories = await Directories.open(directory, { sweep: (name) => sweepStack(directory, name) });
    mkdirSync(join(directory, EMPTY), { recursive: true });
    return new AufsDriver(directories, aufsPlaces(directory));
  },
};
