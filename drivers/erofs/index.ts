/**
 * EROFS: a layer is one file that the kernel mounts. The raw tar lies in it as it came, metadata that points into it
 * behind; so a pull writes one file a layer, and removing a layer is one unlink. Needs Linux 6.12 and root.
 */
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { TslayerError } from '../../src/errors.ts';
import { hasErrno } from '../../src/sys/libc.ts';
import { tryLock } from '../../src/sys/locks.ts';
import type { Change, DriverModule, LayerId, MountRequest, Stack, StorageDriver, Usage } from '../driver.ts';
import { beginLayer } from './apply.ts';
import { canReadDirectly } from './direct-io.ts';
import { Files, idOfName, isTrash } from './files.ts';
import { mountsOf } from './mounts.ts';
import { probeErofs } from './probe.ts';
import { copyRoot } from './root.ts';

class ErofsDriver implements StorageDriver {
  readonly name = 'erofs';
  readonly stacking = 'independent';
  readonly #files: Files;
  #directio: boolean | undefined;

  constructor(files: Files) {
    this.#files = files;
  }

  async apply(id: LayerId, _parent: Stack, { durable }: { readonly durable: boolean }) {
    return beginLayer(this.#files, id, durable);
  }

  async prepare(id: LayerId, parent: Stack): Promise<void> {
    mkdirSync(this.#files.work(id), { recursive: true, mode: 0o700 });
    mkdirSync(this.#files.upper(id), { recursive: true });
    copyRoot(this.#files, parent, this.#files.upper(id));
  }

  async mounts(id: LayerId | undefined, parent: Stack, request: MountRequest) {
    return mountsOf({ files: this.#files, directio: this.#readsDirectly(), upperOptions: [] }, id, parent, request);
  }

  changes(_id: LayerId, _parent: Stack): AsyncIterable<Change> {
    throw new TslayerError('UNSUPPORTED', 'not yet');
  }

  async usage(id: LayerId): Promise<Usage> {
    const layer = this.#files.findLayer(id);
    if (layer !== undefined) return { bytes: statSync(layer.path).blocks * 512, inodes: 1 };
    return { bytes: 0, inodes: 0 };
  }

  async remove(id: LayerId): Promise<void> {
    const files = this.#files;
    for (const path of [files.layer(id, false), files.layer(id, true)]) rmSync(path, { force: true });
    sweepPartial(files.partial(id));
    discardSnapshot(files, id);
  }

  async *list(): AsyncGenerator<LayerId, void> {
    for (const name of readdirSync(this.#files.directory)) {
      const found = idOfName(name);
      if (found !== undefined && !found.partial) yield found.id;
    }
  }

  /** Asked once, when it first matters: a pull mounts nothing. */
  #readsDirectly(): boolean {
    this.#directio ??= canReadDirectly(this.#files.empty);
    return this.#directio;
  }
}

/** Removes a partial layer that nobody writes any more. */
function sweepPartial(path: string): void {
  if (!existsFile(path)) return;
  using lock = tryLock(path);
  if (lock !== undefined) rmSync(path, { force: true });
}

function existsFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** The name goes first: removing a tree takes a while. */
function discardSnapshot(files: Files, id: LayerId): void {
  const trash = files.trash(id);
  rmSync(trash, { recursive: true, force: true });
  try {
    renameSync(files.snapshot(id), trash);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return;
    throw error;
  }
  rmSync(trash, { recursive: true, force: true });
}

function sweep(files: Files): void {
  for (const name of readdirSync(files.directory)) {
    if (isTrash(name)) rmSync(join(files.directory, name), { recursive: true, force: true });
    else if (idOfName(name)?.partial) sweepPartial(join(files.directory, name));
  }
}

export const driver: DriverModule = {
  name: 'erofs',
  summary: 'one file a layer, mounted as it is: nothing is extracted (root, Linux 6.12)',
  probe: probeErofs,
  async open(directory) {
    const files = new Files(directory);
    mkdirSync(files.empty, { recursive: true, mode: 0o755 });
    sweep(files);
    return new ErofsDriver(files);
  },
};
