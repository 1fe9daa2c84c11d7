/**
 * Writes images into an OCI image layout directory, a new one or one that has images already: blobs that are there
 * stay, and index.json is replaced at once. One writer at a time, as with every tool that writes layouts.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { TslayerError } from '../errors.ts';
import { type Descriptor, DescriptorSchema, parseJson } from '../oci/descriptor.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { closureOf } from './closure.ts';
import { blobName, INDEX_FILE, LAYOUT_FILE, REF_NAME } from './oci-layout.ts';
import { type ImageToSave, indexEntries, LAYOUT_CONTENT, type SaveOptions } from './save.ts';
import type { ContentReader } from './source.ts';
import { verified } from './verified.ts';

/** Unknown members (an index's own annotations) are kept. */
const IndexSchema = v.looseObject({ manifests: v.array(DescriptorSchema) });

export async function saveLayout(
  reader: ContentReader,
  images: readonly ImageToSave[],
  directory: string,
  options: SaveOptions = {},
): Promise<void> {
  const { manifests, blobs } = await closureOf(
    reader,
    images.map((image) => image.root),
  );
  const index = await prepareLayout(directory);
  for (const blob of blobs) {
    await writeBlob(directory, blob, reader.openBlob(blob));
    options.onBlob?.(blob);
  }
  for (const { descriptor, bytes } of manifests) await writeBlob(directory, descriptor, once(bytes));
  const added = indexEntries(images);
  const names = new Set(added.map((entry) => entry.annotations?.[REF_NAME]));
  const kept = index.manifests.filter((entry) => !replaces(names, added, entry));
  await replaceFile(join(directory, INDEX_FILE), JSON.stringify({ ...index, manifests: [...kept, ...added] }));
}

/** A name moves to its new image; an entry without a name is written once. */
function replaces(names: ReadonlySet<string | undefined>, added: readonly Descriptor[], entry: Descriptor): boolean {
  const name = entry.annotations?.[REF_NAME];
  return name === undefined ? added.some((other) => other.digest === entry.digest) : names.has(name);
}

async function prepareLayout(directory: string): Promise<v.InferOutput<typeof IndexSchema>> {
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
  const path = join(directory, INDEX_FILE);
  const existing = await readFile(path).catch(ignoreMissing);
  if (existing) return parseJson(existing, IndexSchema, path);
  await replaceFile(join(directory, LAYOUT_FILE), LAYOUT_CONTENT);
  return { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] };
}

async function writeBlob(directory: string, blob: Descriptor, content: AsyncIterable<Uint8Array>): Promise<void> {
  const path = join(directory, blobName(blob.digest));
  const there = await stat(path).catch(ignoreMissing);
  if (there?.isFile() && there.size === blob.size) return;
  await mkdir(dirname(path), { recursive: true });
  await writeBeside(path, verified(content, blob));
}

async function replaceFile(path: string, text: string): Promise<void> {
  await writeBeside(path, once(Buffer.from(text)));
}

/**
 * Writes a file under another name of the same directory, syncs it, and renames it: under its own name it is never
 * seen half done, and what was there before stays until then.
 */
export async function writeBeside(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const there = await stat(path).catch(ignoreMissing);
  if (there && !there.isFile() && !there.isDirectory()) return writeThrough(path, content);
  const temporary = join(dirname(path), `.${randomUUID()}.partial`);
  const file = await open(temporary, 'wx', 0o644).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new TslayerError('NOT_FOUND', `cannot write ${path}: there is no such directory`, { cause });
  });
  try {
    for await (const chunk of content) await file.writeFile(chunk);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Into a pipe or device: there is no name to give. */
async function writeThrough(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, 'w');
  try {
    for await (const chunk of content) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
