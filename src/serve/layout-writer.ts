/**
 * Writes to a layout, for a registry that takes pushes. Blobs arrive as files in DIR/.uploads (see uploads.ts) and
 * are renamed into place; index.json is replaced by a rename. One writer process at a time: the changes of this
 * process are serialized here, other processes are kept out by whoever opens the layout.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { type Descriptor, DescriptorSchema, parseJson } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { type Layout, REF_NAME, REPOSITORY_NAME } from './layout.ts';

/** Unknown members (an index's own annotations) are kept. */
const IndexFile = v.looseObject({ manifests: v.array(DescriptorSchema) });

export class LayoutWriter {
  readonly #layout: Layout;
  readonly uploadDir: string;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(layout: Layout) {
    this.#layout = layout;
    this.uploadDir = join(layout.dir, '.uploads');
  }

  /** Makes an empty layout where there is none, and removes what an earlier process left half done. */
  async prepare(): Promise<void> {
    const { dir } = this.#layout;
    await mkdir(join(dir, 'blobs', 'sha256'), { recursive: true });
    await rm(this.uploadDir, { recursive: true, force: true });
    await mkdir(this.uploadDir, { mode: 0o700 });
    await this.#begin('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    await this.#begin('index.json', JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }));
  }

  /** Whole or not at all; an empty file is what a killed writer or a power loss left. */
  async #begin(name: string, text: string): Promise<void> {
    const path = join(this.#layout.dir, name);
    const there = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (there && there.size > 0) return;
    const temporary = join(this.uploadDir, name);
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, path);
  }

  /** Moves a verified file into blobs/; content that is there already stays as it is. */
  async adopt(path: string, digest: Digest): Promise<void> {
    const target = this.#layout.blobPath(digest);
    await mkdir(dirname(target), { recursive: true });
    await rename(path, target);
    await syncDirectory(dirname(target));
  }

  async putBytes(bytes: Uint8Array, digest: Digest): Promise<void> {
    const temporary = join(this.uploadDir, randomUUID());
    await writeFile(temporary, bytes, { flag: 'wx', flush: true });
    await this.adopt(temporary, digest);
  }

  async removeBlob(digest: Digest): Promise<boolean> {
    if (!(await this.#layout.statBlob(digest))) return false;
    await rm(this.#layout.blobPath(digest));
    return true;
  }

  /** Names a stored manifest in index.json; a tag moves from the manifest that had it. */
  async name(repository: string, tag: string | undefined, descriptor: Descriptor): Promise<void> {
    const refName = `${repository}:${tag}`;
    await this.#edit((manifests) => {
      const known = (entry: Descriptor) => entry.digest === descriptor.digest && repositoryOf(entry) === repository;
      if (tag === undefined && manifests.some(known)) return manifests;
      const kept = manifests.filter((entry) => tag === undefined || entry.annotations?.[REF_NAME] !== refName);
      const annotations = tag === undefined ? { [REPOSITORY_NAME]: repository } : { [REF_NAME]: refName };
      return [...kept, { ...descriptor, annotations }];
    });
  }

  /** Forgets a tag, or every entry of a digest; answers whether there was one. */
  async forget(repository: string, reference: string): Promise<boolean> {
    let removed = false;
    await this.#edit((manifests) => {
      const kept = manifests.filter(
        (entry) =>
          !(entry.annotations?.[REF_NAME] === `${repository}:${reference}`) &&
          !(entry.digest === reference && repositoryOf(entry) === repository),
      );
      removed = kept.length < manifests.length;
      return kept;
    });
    return removed;
  }

  #edit(change: (manifests: Descriptor[]) => Descriptor[]): Promise<void> {
    const run = this.#queue.then(async () => {
      const path = join(this.#layout.dir, 'index.json');
      const index = parseJson(await readFile(path), IndexFile, path);
      const manifests = change(index.manifests);
      if (manifests === index.manifests) return;
      const temporary = join(this.uploadDir, `index-${randomUUID()}`);
      await writeFile(temporary, JSON.stringify({ ...index, manifests }), { flag: 'wx', flush: true });
      await rename(temporary, path);
      await syncDirectory(this.#layout.dir);
    });
    this.#queue = run.catch(() => undefined);
    return run;
  }
}

/** The repository of an entry, with or without a tag. */
function repositoryOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[REF_NAME]?.replace(/:[^:/]*$/, '') ?? entry.annotations?.[REPOSITORY_NAME];
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
