/**
 * An OCI image layout as a registry's content. OCI Image Specification image-layout.md.
 *
 *   DIR/oci-layout            the layout's version
 *   DIR/index.json            manifests; `org.opencontainers.image.ref.name` holds the full `repository:tag`
 *   DIR/blobs/sha256/HEX      manifests, configs and layers
 *
 * index.json is read again whenever it changed, so that another process (a pull into a tslayer store) may write
 * the layout while it is served. Names may begin with a registry: `docker.io/library/alpine:3.20` answers to
 * `docker.io/library/alpine`, and to `library/alpine` with `?ns=docker.io` (containerd's mirrors) or without.
 */
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import { isTslayerError } from '../errors.ts';
import { type Descriptor, DescriptorSchema, parseJson } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, hexOf } from '../oci/digest.ts';
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from '../oci/manifest.ts';
import { splitRefName } from './ref-name.ts';

export const REF_NAME = 'org.opencontainers.image.ref.name';
/** On entries without a tag: the repository that they were pushed to. */
export const REPOSITORY_NAME = 'org.tslayer.repository';

const IndexFile = v.object({ manifests: v.array(DescriptorSchema) });

export interface Entry {
  /** As the layout writes it, a registry in front included. */
  readonly repository: string;
  readonly tag?: string;
  readonly descriptor: Descriptor;
}

export interface StoredBlob {
  readonly path: string;
  readonly size: number;
}

export interface StoredManifest {
  readonly digest: Digest;
  readonly bytes: Buffer;
  readonly manifest: Manifest;
}

/** Reads a layout; every method sees the newest index.json. */
export class Layout {
  readonly dir: string;
  #stamp = '';
  #entries: readonly Entry[] = [];

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Everything index.json names, in its order. */
  async entries(): Promise<readonly Entry[]> {
    const path = join(this.dir, 'index.json');
    const { mtimeNs, size, ino } = await stat(path, { bigint: true });
    const stamp = `${mtimeNs} ${size} ${ino}`;
    if (stamp !== this.#stamp) {
      const { manifests } = parseJson(await readFile(path), IndexFile, path);
      this.#entries = manifests.flatMap(asEntry);
      this.#stamp = stamp;
    }
    return this.#entries;
  }

  /** The repository's entries; `namespace` is the registry that a mirror's client meant. */
  async entriesOf(repository: string, namespace?: string): Promise<readonly Entry[]> {
    const entries = await this.entries();
    if (namespace !== undefined) {
      const qualified = entries.filter((entry) => entry.repository === `${namespace}/${repository}`);
      if (qualified.length > 0) return qualified;
    }
    const exact = entries.filter((entry) => entry.repository === repository);
    if (exact.length > 0 || namespace !== undefined) return exact;
    return entries.filter((entry) => splitRefName(entry.repository).withoutRegistry === repository);
  }

  blobPath(digest: Digest): string {
    return join(this.dir, 'blobs', algorithmOf(digest), hexOf(digest));
  }

  async statBlob(digest: Digest): Promise<StoredBlob | undefined> {
    const path = this.blobPath(digest);
    const found = await stat(path).catch(ignoreMissing);
    return found?.isFile() ? { path, size: found.size } : undefined;
  }

  /** The manifest or index of that digest; undefined when it is not there or is no manifest. */
  async manifest(digest: Digest): Promise<StoredManifest | undefined> {
    const file = await open(this.blobPath(digest), 'r').catch(ignoreMissing);
    if (!file) return undefined;
    try {
      // Layers live in the same directory: look at the size before reading.
      if ((await file.stat()).size > MAX_MANIFEST_BYTES) return undefined;
      const bytes = await file.readFile();
      return { digest, bytes, manifest: parseManifest(bytes, undefined) };
    } catch (error) {
      if (isTslayerError(error)) return undefined;
      throw error;
    } finally {
      await file.close();
    }
  }
}

function asEntry(descriptor: Descriptor): Entry[] {
  const refName = descriptor.annotations?.[REF_NAME];
  if (refName !== undefined) {
    const { repository, tag } = splitRefName(refName);
    return [tag === undefined ? { repository, descriptor } : { repository, tag, descriptor }];
  }
  const repository = descriptor.annotations?.[REPOSITORY_NAME];
  return repository === undefined ? [] : [{ repository, descriptor }];
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
  throw error;
}
