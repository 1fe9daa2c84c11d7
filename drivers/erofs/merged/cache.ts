/**
 * Merged images as they lie in the store: one a stack, made when the stack is first mounted. Each names the layers that
 * it is made of: its device table.
 */
import { basename } from 'node:path';
import { TslayerError } from '../../../src/errors.ts';
import { hasErrno } from '../../../src/sys/libc.ts';
import type { LayerFile, LayerFiles } from '../files.ts';
import { decodeDevices } from '../format/devices.ts';
import { DEVICE_SLOT_SIZE } from '../format/layout.ts';
import { ImageReader } from '../read/image-reader.ts';
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

/** Names of the layers' files that an image is made of, top first; undefined for what is no whole image. */
export function partsOf(path: string): string[] | undefined {
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
