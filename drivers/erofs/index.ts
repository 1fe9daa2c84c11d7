/**
 * EROFS: a layer is one file that the kernel mounts. The raw tar lies in it as it came, metadata that points into it
 * behind; so a pull writes one file a layer, and removing a layer is one unlink. Needs Linux 6.12 and root.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TarEntry } from '../../src/archive/entry.ts';
import type { Mount } from '../../src/mounts/mount.ts';
import { openMounts } from '../../src/mounts/open.ts';
import { readNames } from '../../src/sys/read-names.ts';
import { changesOf } from '../changes/index.ts';
import { overlaySpelling } from '../changes/overlay.ts';
import { Directories } from '../directories/directories.ts';
import { isId } from '../directories/names.ts';
import type {
  Change,
  DriverModule,
  DriverSettings,
  LayerApplication,
  LayerId,
  LayerToVerify,
  MountRequest,
  Stack,
  StorageDriver,
  Usage,
} from '../driver.ts';
import { beginLayer } from './apply.ts';
import { canReadDirectly } from './direct-io.ts';
import { LayerFiles, layerIdOf } from './files.ts';
import { type MountContext, mountsOf, UPPER, WORK } from './mounts.ts';
import { probeErofs } from './probe.ts';
import { copyRoot, openRoot } from './root.ts';
import { StackImages } from './stack-images.ts';
import { readStored, verifyImage } from './tar-of-layer.ts';

class ErofsDriver implements StorageDriver {
  readonly name = 'erofs';
  readonly stacking = 'independent';
  readonly caches: StackImages;
  readonly #layers: LayerFiles;
  readonly #snapshots: Directories;
  readonly #context: MountContext;

  constructor(layers: LayerFiles, snapshots: Directories, { merged = false, directio = false }: DriverSettings) {
    this.#layers = layers;
    this.#snapshots = snapshots;
    this.#context = { layers, snapshots, merged, directio: directio ? rememberingDirectIo() : () => false };
    this.caches = new StackImages(layers);
  }

  async apply(id: LayerId, _parent: Stack, options: { readonly durable: boolean }): Promise<LayerApplication> {
    return beginLayer(this.#layers, id, options.durable);
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    await this.#snapshots.make(id, (path) => {
      const upper = join(path, UPPER);
      mkdirSync(upper);
      mkdirSync(join(path, WORK));
      copyRoot(this.#context, parent, upper);
    });
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest): Promise<readonly Mount[]> {
    return mountsOf(this.#context, id, parent, request);
  }

  async *changes(id: LayerId, parent: Stack): AsyncGenerator<Change, void> {
    this.#snapshots.require(id);
    using below = parent.length === 0 ? undefined : openMounts(mountsOf(this.#context, undefined, parent, {}));
    const tree = this.#snapshots.of(id, UPPER);
    const spelling = overlaySpelling(false);
    using root = openRoot(this.#context, parent);
    yield* changesOf({ tree, spelling, parent: below?.fd, parentRoot: root.path });
  }

  readFile(id: LayerId, entry: TarEntry): AsyncIterable<Uint8Array> {
    return readStored(this.#layers.require(id).path, entry);
  }

  async verify(id: LayerId, layer: LayerToVerify): Promise<string | undefined> {
    const file = this.#layers.find(id);
    return file === undefined ? 'its file is gone' : verifyImage(file.path, layer);
  }

  async usage(id: LayerId): Promise<Usage> {
    const layer = this.#layers.find(id);
    if (layer === undefined) return this.#snapshots.usage(id);
    return { bytes: statSync(layer.path).blocks * 512, inodes: 1 };
  }

  async remove(id: LayerId): Promise<void> {
    if (this.#layers.find(id) !== undefined) {
      this.caches.removeWith(id);
    }
    // First: that takes the name away before it waits for anything.
    await this.#snapshots.remove(id);
    await this.#layers.remove(id);
  }

  list(): AsyncIterable<LayerId> {
    return oneByOne(async () => {
      const ids: LayerId[] = [];
      for (const name of await readNames(this.#layers.directory)) {
        const id = layerIdOf(name) ?? (isId(name) ? name : undefined);
        if (id !== undefined) ids.push(id);
      }
      return ids;
    });
  }
}

/** Tens of thousands of layers, at a fraction of what an async generator takes for each. */
function oneByOne<T>(all: () => Promise<readonly T[]>): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      let left: Iterator<T> | undefined;
      return {
        async next() {
          left ??= (await all())[Symbol.iterator]();
          return left.next();
        },
      };
    },
  };
}

/** Asked when it first matters, and once: all layers lie on one file system. A pull mounts nothing. */
function rememberingDirectIo(): (image: string) => boolean {
  let known: boolean | undefined;
  return (image) => {
    known ??= canReadDirectly(image);
    return known;
  };
}

export const driver: DriverModule = {
  name: 'erofs',
  summary: 'one file a layer, mounted as it is: nothing is extracted (root, Linux 6.12)',
  probe: probeErofs,
  async open(directory, settings = {}) {
    const layers = new LayerFiles(directory);
    const snapshots = await Directories.open(directory, { sweep: (name) => layers.sweep(name) });
    layers.stacks.sweep();
    mkdirSync(layers.empty, { recursive: true, mode: 0o755 });
    return new ErofsDriver(layers, snapshots, settings);
  },
};
