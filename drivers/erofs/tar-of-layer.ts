/** The raw tar that an image keeps, byte for byte, without mounting it. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync } from 'node:fs';
import type { TarEntry } from '../../src/archive/entry.ts';
import { TslayerError } from '../../src/errors.ts';
import type { DiffID } from '../../src/oci/digest.ts';
import { inSlices } from '../tree/slices.ts';
import { digestCopied } from './copied-data.ts';
import { BLOCK_SIZE, HEAD_SIZE } from './format/layout.ts';
import { type LayerNote, writeNote } from './format/note.ts';
import { encodeHead } from './format/superblock.ts';
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

/**
 * What is wrong with the image: its tar is no longer the one whose digest is the layer's diffID, or the metadata
 * behind it is not what was written.
 */
export async function verifyImage(
  path: string,
  layer: { readonly diffId: DiffID; readonly tarSize: number },
): Promise<string | undefined> {
  const found = headOf(path);
  if (typeof found === 'string') return found;
  if (found.note.tarLength !== layer.tarSize) {
    return `its tar has ${found.note.tarLength} bytes, not ${layer.tarSize}`;
  }
  const [algorithm = '', hex] = layer.diffId.split(':');
  const tar = await digestOf(algorithm, readTar(path, 0, layer.tarSize));
  if (tar.toString('hex') !== hex) return 'its tar is not the one that was unpacked';
  return metadataDamage(path, found);
}

/** What is wrong with an image that is metadata alone. */
export async function verifyMetadata(path: string): Promise<string | undefined> {
  const found = headOf(path);
  return typeof found === 'string' ? found : metadataDamage(path, found);
}

interface Head {
  readonly note: LayerNote;
  /** Where the metadata begins. */
  readonly metadataAt: number;
}

async function metadataDamage(path: string, { note, metadataAt }: Head): Promise<string | undefined> {
  const copied = await copiedDigestOf(path, HEAD_SIZE + note.tarLength, metadataAt);
  if (Buffer.compare(copied, note.copiedDigest) !== 0) return 'the data of its sparse files is damaged';
  const found = await digestOf('sha256', createReadStream(path, { start: metadataAt, highWaterMark: CHUNK }));
  return found.equals(note.metadataDigest) ? undefined : 'its metadata is damaged';
}

async function copiedDigestOf(path: string, from: number, to: number): Promise<Uint8Array> {
  const fd = openSync(path, 'r');
  try {
    return await inSlices(digestCopied(fd, from, to));
  } finally {
    closeSync(fd);
  }
}

async function digestOf(algorithm: string, bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const hash = createHash(algorithm);
  for await (const chunk of bytes) hash.update(chunk);
  return hash.digest();
}

function headOf(path: string): Head | string {
  try {
    using image = new ImageReader(path);
    const { note, superblock } = image;
    const written = encodeHead(superblock);
    writeNote(written, note);
    if (Buffer.compare(written, image.bytes(0, HEAD_SIZE)) !== 0) return 'its head is damaged';
    return { note, metadataAt: superblock.metaBlock * BLOCK_SIZE };
  } catch (error) {
    if (error instanceof TslayerError) return error.message;
    throw error;
  }
}
