/**
 * overlayfs: a layer is a directory of its files, a snapshot one of what was written to it.
 *
 *   DIRECTORY/ID/diff            a layer's files, whiteouts as character devices 0:0; or a snapshot's upper directory
 *   DIRECTORY/ID/work            a snapshot's work directory
 *   DIRECTORY/ID/implied    directories that the layer's tar implied (directories/implied.ts)
 *   DIRECTORY/.stacks/HASH/diff  their looks in one stack (directories/looks.ts)
 *   DIRECTORY/.empty/1, 2        nothing
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Mount } from '../../src/mounts/mount.ts';
import { openMounts } from '../../src/mounts/open.ts';
import { requireUnused } from '../../src/mounts/users.ts';
import { changesOf } from '../changes/index.ts';
import { overlayFilter, overlaySpelling } from '../changes/overlay.ts';
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
import { inUserNamespace } from '../overlay/upper.ts';
import { DIFF, emptyDirectories, looksContext, mountsOf, type OverlayContext, WORK } from './mounts.ts';
import { probeOverlay } from './probe.ts';

class OverlayDriver implements StorageDriver {
  readonly name = 'overlayfs';
  readonly stacking = 'independent';
  readonly caches: StackCaches;
  readonly #context: OverlayContext;

  constructor(context: OverlayContext) {
    this.#context = context;
    this.caches = new DirectoryCaches(context.directories, kindsOfLooks(looksContext(context)));
  }

  get #directories(): Directories {
    return this.#context.directories;
  }

  async apply(id: LayerId, _parent: Stack, { durable }: { readonly durable: boolean }): Promise<LayerApplication> {
    const { userxattr } = this.#context;
    return beginUnpacking(this.#directories, id, { part: DIFF, durable, how: { spelling: 'overlay', userxattr } });
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    for (const layer of parent) this.#directories.require(layer);
    return this.#directories.make(id, (path) => {
      const upper = join(path, DIFF);
      mkdirSync(upper);
      mkdirSync(join(path, WORK));
      dressRoot(upper, explicitRoot(this.#directories, parent, DIFF));
    });
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]> {
    return mountsOf(this.#context, id, parent, request);
  }

  async *changes(id: LayerId, parent: Stack): AsyncGenerator<Change, void> {
    this.#directories.require(id);
    using below = parent.length === 0 ? undefined : openMounts(mountsOf(this.#context, undefined, parent, {}));
    yield* changesOf({
      tree: this.#directories.of(id, DIFF),
      spelling: overlaySpelling(this.#context.userxattr),
      parent: below?.fd,
      parentRoot: explicitRoot(this.#directories, parent, DIFF),
    });
  }

  async verify(id: LayerId, layer: LayerToVerify): Promise<string | undefined> {
    const { directories, userxattr } = this.#context;
    const { verifyTree, verifyImplied } = await import('../verify/index.ts');
    const expected = await layer.tree();
    const tree = directories.of(id, DIFF);
    const marks = { spelling: overlaySpelling(userxattr), filters: overlayFilter(userxattr) };
    return (await verifyTree({ tree, ...marks, expected, directories })) ?? verifyImplied(directories.of(id), expected);
  }

  usage(id: LayerId): Promise<Usage> {
    return this.#directories.usage(id);
  }

  async remove(id: LayerId): Promise<void> {
    const stacks = stacksWith(this.#directories, id);
    // A union may show looks that came in the layer's place, and not the layer itself.
    requireUnused(stacks, `layer ${id}`);
    await this.#directories.remove(id);
    for (const path of stacks) await this.#directories.discard(path);
  }

  async *list(): AsyncGenerator<LayerId, void> {
    yield* this.#directories.list();
  }
}

export const driver: DriverModule = {
  name: 'overlayfs',
  summary: 'a directory a layer, merged by the kernel: what docker and podman do',
  probe: probeOverlay,
  async open(directory) {
    const directories = await Directories.open(directory, { sweep: (name) => sweepStack(directory, name) });
    for (const path of emptyDirectories(directories)) mkdirSync(path, { recursive: true });
    return new OverlayDriver({ directories, userxattr: inUserNamespace() });
  },
};
