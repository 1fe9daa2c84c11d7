/**
 * Merged images as they lie in the store: one a stack, made when the stack is first mounted. Each names the layers that
 * it is made of (its device table), so that it goes with any of them, and can be told from those that nobody needs.
 */
import { rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { TslayerError } from '../../../src/errors.ts';
import { hasErrno } from '../../../src/sys/libc.ts';
import type { LayerId, StackCache, StackCaches } from '../../driver.ts';
import { type LayerFile, type LayerFiles, layerIdOf } from '../files.ts';
import { decodeDevices } from '../format/devices.ts';
import { DEVICE_SLOT_SIZE } from '../format/layout.ts';
import { ImageReader } from '../read/image-reader.ts';
import { STACKS } from '../stack-files.ts';
import { verifyMetadata } from '../tar-of-layer.ts';
import { writeMerged } from './write.ts';

/**
 * The merged image of the layers that show, top first; made if it is not there. The kernel takes an image with devices
 * and a mount that names none of them, and files read wrong afterwards: so the image is asked what it is made of.
 */
export function mergedImage(files: LayerFiles, layers: readonly LayerFile[]): string {
  const paths = layers.map(({ path }) => path);
  const names = paths.map((path) => basename(path));
  const image = files.stacks.path('merged', names);
  if (partsOf(image)?.join() !== names.join()) {
    files.stacks.publish(image, (temporary) => writeMerged(temporary, basename(image), paths));
  }
  return image;
}

/** Removes the images that a layer is part of, and those that do not tell. */
export function removeMergedWith(files: LayerFiles, layer: LayerId): void {
  for (const path of files.stacks.list('merged')) {
    if (idsOf(path)?.includes(layer) !== false) rmSync(path, { force: true });
  }
}

/** For the store's housekeeping. */
export class MergedImages implements StackCaches {
  readonly #files: LayerFiles;

  constructor(files: LayerFiles) {
    this.#files = files;
  }

  async *list(): AsyncGenerator<StackCache, void> {
    for (const path of this.#files.stacks.list('merged')) {
      const stat = statSync(path, { throwIfNoEntry: false });
      if (stat) yield { name: join(STACKS, basename(path)), stack: idsOf(path) ?? [], bytes: stat.blocks * 512 };
    }
  }

  async verify(name: string): Promise<string | undefined> {
    return verifyMetadata(this.#path(name));
  }

  async remove(name: string): Promise<void> {
    rmSync(this.#path(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#files.stacks.directory, basename(name));
  }
}

function idsOf(path: string): LayerId[] | undefined {
  return partsOf(path)?.map((name) => layerIdOf(name) ?? name);
}

/** Names of the layers' files that an image is made of, top first; undefined for what is no whole image. */
function partsOf(path: string): string[] | undefined {
  try {
    using image = new ImageReader(path);
    const { devices } = image.superblock;
    if (devices === undefined) return undefined;
    return decodeDevices(image.bytes(devices.offset, devices.count * DEVICE_SLOT_SIZE)).map(({ tag }) => tag);
  } catch (error) {
    if (error instanceof TslayerError || hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
