/**
 * Writes images into an OCI image layout directory, a new one or one that has images already: blobs that are there
 * stay, and index.json is replaced at once. One writer at a time, as with every tool that writes layouts.
 */
import { mkdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { type Descriptor, DescriptorSchema, parseJson } from '../oci/descriptor.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { closureOf } from './closure.ts';
import { blobName, INDEX_FILE, LAYOUT_FILE, REF_NAME } from './oci-layout.ts';
import { type ImageToSave, indexEntries, LAYOUT_CONTENT, type SaveOptions } from './save.ts';
import type { ContentReader } from './source.ts';
import { verified } from './verified.ts';
import { syncDirectory, writeBeside } from './write-beside.ts';

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
  for (const path of new Set([...blobs, ...manifests.map(({ descriptor }) => descriptor)].map(directoryOf))) {
    await syncDirectory(join(directory, path));
  }
  const added = indexEntries(images);
  const names = new Set(added.map((entry) => entry.annotations?.[REF_NAME]));
  const kept = index.manifests.filter((entry) => !replaces(names, added, entry));
  await replaceFile(join(directory, INDEX_FILE), JSON.stringify({ ...index, manifests: [...kept, ...added] }));
}

function directoryOf({ digest }: Descriptor): string {
  return dirname(blobName(digest));
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
  await writeBeside(path, verified(content, blob), { syncName: false });
}

async function replaceFile(path: string, text: string): Promise<void> {
  await writeBeside(path, once(Buffer.from(text)));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
