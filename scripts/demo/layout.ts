/** Writes images as an OCI image layout, from lists of files: what the demonstration and the tests serve. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { hostPlatform } from '../../src/oci/platform.ts';

/** A directory ends in `/`; a path with `symlink` is one; everything else is a file. */
export interface TreeEntry {
  readonly path: string;
  readonly content?: string | Uint8Array;
  readonly symlink?: string;
  /** Default 0755 for directories, 0644 for files. */
  readonly mode?: number;
}

export interface ImageSpec {
  /** `demo/app:1` */
  readonly name: string;
  /** Base first. */
  readonly layers: readonly PackedLayer[];
  /** The image config's `config`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface PackedLayer {
  readonly blob: Uint8Array;
  readonly diffID: string;
  readonly createdBy: string;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI = 'application/vnd.oci.image';
const EPOCH = new Date('2024-01-01T00:00:00Z');

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** One gzipped layer. The same entries always give the same bytes. */
export async function packLayer(entries: readonly TreeEntry[], createdBy: string): Promise<PackedLayer> {
  const tar = pack();
  for (const { path, content, symlink, mode } of entries) {
    const common = { name: path, mtime: EPOCH };
    if (path.endsWith('/')) tar.entry({ ...common, type: 'directory', mode: mode ?? 0o755 });
    else if (symlink !== undefined) tar.entry({ ...common, type: 'symlink', linkname: symlink, mode: 0o777 });
    else tar.entry({ ...common, mode: mode ?? 0o644 }, Buffer.from(content ?? ''));
  }
  tar.finalize();
  const bytes = await buffer(tar);
  return { blob: gzipSync(bytes), diffID: digestOf(bytes), createdBy };
}

/** Makes the layout in `directory`; blobs that images share are written once. */
export async function writeLayout(directory: string, images: readonly ImageSpec[]): Promise<void> {
  const blobs = join(directory, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice('sha256:'.length)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const manifests: object[] = [];
  for (const image of images) {
    const layers = await Promise.all(image.layers.map(({ blob }) => put(`${OCI}.layer.v1.tar+gzip`, blob)));
    const config = await put(`${OCI}.config.v1+json`, json(configOf(image)));
    const manifest = await put(
      `${OCI}.manifest.v1+json`,
      json({ schemaVersion: 2, mediaType: `${OCI}.manifest.v1+json`, config, layers }),
    );
    manifests.push({ ...manifest, annotations: { 'org.opencontainers.image.ref.name': image.name } });
  }
  await writeFile(join(directory, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(directory, 'index.json'), json({ schemaVersion: 2, manifests }));
}

function configOf({ layers, config }: ImageSpec): object {
  return {
    ...hostPlatform(),
    created: EPOCH.toISOString(),
    config: config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffID }) => diffID) },
    history: layers.map(({ createdBy }) => ({ created: EPOCH.toISOString(), created_by: createdBy })),
  };
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
