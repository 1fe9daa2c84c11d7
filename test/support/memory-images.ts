/** Small images made in memory, and a reader of their content: what the archive and push tests work on. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { TslayerError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { asDiffID, type DiffID, type Digest, digestOf } from '../../src/oci/digest.ts';
import {
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from '../../src/oci/media-types.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { ContentReader } from '../../src/transports/source.ts';

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A tar of plain files, in the order given. */
export async function tarOf(files: Files): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) {
    tar.entry({ name, mtime: new Date(0) }, content);
  }
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

export class MemoryContent implements ContentReader {
  readonly blobs: Map<Digest, Uint8Array> = new Map();

  add(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  addJson(mediaType: string, value: unknown): Descriptor {
    return this.add(mediaType, Buffer.from(JSON.stringify(value)));
  }

  async readManifest(descriptor: Descriptor): Promise<Uint8Array> {
    return this.#get(descriptor);
  }

  async *openBlob(descriptor: Descriptor, offset = 0): AsyncGenerator<Uint8Array, void> {
    yield this.#get(descriptor).subarray(offset);
  }

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.blobs.has(descriptor.digest);
  }

  #get(descriptor: Descriptor): Uint8Array {
    const bytes = this.blobs.get(descriptor.digest);
    if (!bytes) throw new TslayerError('NOT_FOUND', `no blob ${descriptor.digest}`);
    return bytes;
  }
}

export interface MemoryImage {
  readonly root: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly diffIDs: readonly DiffID[];
}

export type LayerForm = 'gzip' | 'zstd' | 'none';

/** An image whose layers, base first, hold these files. */
export async function addImage(
  content: MemoryContent,
  layerFiles: readonly Files[],
  options: { readonly form?: LayerForm; readonly platform?: Platform; readonly cmd?: readonly string[] } = {},
): Promise<MemoryImage> {
  return addTars(content, await Promise.all(layerFiles.map(tarOf)), options);
}

/** The same of whole tars. */
export function addTars(
  content: MemoryContent,
  tars: readonly Buffer[],
  options: { readonly form?: LayerForm; readonly platform?: Platform; readonly cmd?: readonly string[] } = {},
): MemoryImage {
  const diffIDs = tars.map((tar) => asDiffID(digestOf(tar)));
  const layers = tars.map((tar) => {
    if (options.form === 'none') return content.add(OCI_LAYER, tar);
    if (options.form === 'zstd') return content.add(OCI_LAYER_ZSTD, zstdCompressSync(tar));
    return content.add(OCI_LAYER_GZIP, gzipSync(tar));
  });
  const config = content.addJson(OCI_CONFIG, {
    architecture: options.platform?.architecture ?? 'amd64',
    os: options.platform?.os ?? 'linux',
    config: { Cmd: options.cmd ?? ['/bin/sh'] },
    rootfs: { type: 'layers', diff_ids: diffIDs },
  });
  const root = content.addJson(OCI_MANIFEST, { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers });
  return { root, config, layers, diffIDs };
}

/** An index of images by platform. */
export function addIndex(content: MemoryContent, images: readonly (readonly [Platform, Descriptor])[]): Descriptor {
  const manifests = images.map(([platform, root]) => ({ ...root, platform }));
  return content.addJson(OCI_INDEX, { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}
