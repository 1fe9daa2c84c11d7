/** The raw tar that an image keeps, byte for byte, without mounting it. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { TarEntry } from '../../src/archive/entry.ts';
import { TslayerError } from '../../src/errors.ts';
import type { DiffID } from '../../src/oci/digest.ts';
import { HEAD_SIZE } from './format/layout.ts';
import { ImageReader } from './read/image-reader.ts';

const CHUNK = 1 << 20;

/** Bytes `start … start + length` of the tar in the image at `path`. */
export async function* readTar(path: string, start: number, length: number): AsyncGenerator<Uint8Array, void> {
  if (length === 0) return;
  const from = HEAD_SIZE + start;
  yield* createReadStream(path, { start: from, end: from + length - 1, highWaterMark: CHUNK });
}

/** An entry's stored bytes. */
export function readStored(path: string, { dataOffset, storedSize }: TarEntry): AsyncIterable<Uint8Array> {
  return readTar(path, dataOffset, storedSize);
}

/** Whether the tar is still the one that was unpacked: its digest is the layer's diffID. */
export async function verifyTar(
  path: string,
  layer: { readonly diffId: DiffID; readonly tarSize: number },
): Promise<string | undefined> {
  const found = noteOf(path);
  if (typeof found === 'string') return found;
  if (found.tarLength !== layer.tarSize) return `its tar has ${found.tarLength} bytes, not ${layer.tarSize}`;
  const [algorithm = '', hex] = layer.diffId.split(':');
  const hash = createHash(algorithm);
  for await (const chunk of readTar(path, 0, found.tarLength)) hash.update(chunk);
  return hash.digest('hex') === hex ? undefined : 'its tar is not the one that was unpacked';
}

function noteOf(path: string): ImageReader['note'] | string {
  try {
    using image = new ImageReader(path);
    return image.note;
  } catch (error) {
    if (error instanceof TslayerError) return error.message;
    throw error;
  }
}
