/** Opens an archive by its transport, or by what it turns out to be. */
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { isTslayerError, TslayerError } from '../errors.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, parseReference, type Reference } from '../oci/reference.ts';
import { openDirectoryTree } from './directory-tree.ts';
import { DOCKER_MANIFEST_FILE, openDockerArchive } from './docker-archive.ts';
import { openLegacyArchive, REPOSITORIES_FILE } from './docker-legacy.ts';
import type { FileTree } from './file-tree.ts';
import type { ArchiveLocation } from './location.ts';
import { LAYOUT_FILE, openOciLayout } from './oci-layout.ts';
import type { ArchivedImage, ImageArchive } from './source.ts';
import { openSeekable, type SpoolOptions } from './spool.ts';
import { openTarTree } from './tar-tree.ts';

/** Opens `oci:`, `oci-archive:` or `docker-archive:`; the caller closes it. */
export async function openArchive(
  location: Pick<ArchiveLocation, 'transport' | 'path'>,
  options: SpoolOptions = {},
): Promise<ImageArchive> {
  const label = `${location.transport}:${location.path}`;
  const tree =
    location.transport === 'oci'
      ? await openDirectoryTree(location.path, label)
      : await openTarTree(await openSeekable(location.path, label, options), label, options);
  return using(tree, (open) => (location.transport === 'docker-archive' ? openDocker(open) : openOciLayout(open)));
}

/**
 * Opens what `load` is given: a directory is an OCI layout; a tar (`-`: standard input; gzip or zstd is undone) is
 * an OCI archive when it has a layout in it, since that keeps every digest, else a Docker archive.
 */
export async function detectArchive(path: string, options: SpoolOptions = {}): Promise<ImageArchive> {
  const isDirectory = path !== '-' && (await stat(path).catch(() => undefined))?.isDirectory();
  const label = path === '-' ? 'standard input' : path;
  const tree = isDirectory
    ? await openDirectoryTree(path, label)
    : await openTarTree(await openSeekable(path, label, options), label, options);
  return using(tree, async (open) =>
    (await open.size(LAYOUT_FILE)) === undefined ? openDocker(open) : openOciLayout(open),
  );
}

async function openDocker(tree: FileTree): Promise<ImageArchive> {
  if ((await tree.size(DOCKER_MANIFEST_FILE)) !== undefined) return openDockerArchive(tree);
  if ((await tree.size(REPOSITORIES_FILE)) !== undefined) return openLegacyArchive(tree);
  throw new TslayerError('MALFORMED', `${tree.label} is neither an OCI nor a Docker archive`, {
    hint: 'it has no oci-layout, manifest.json or repositories; for a root file system use import',
  });
}

async function using(tree: FileTree, open: (tree: FileTree) => Promise<ImageArchive>): Promise<ImageArchive> {
  try {
    return await open(tree);
  } catch (error) {
    await Promise.resolve(tree[Symbol.asyncDispose]()).catch(() => undefined);
    throw error;
  }
}

/**
 * The image that a location's name means: the name as the archive spells it, the same reference written
 * otherwise (`alpine:3.20` for docker.io/library/alpine:3.20), a tag that only one image has, or a digest.
 * Without a name, the only image.
 */
export function selectImage(archive: ImageArchive, name: string | undefined): ArchivedImage {
  const { images, label } = archive;
  const offered = images.flatMap((image) => (image.names.length > 0 ? image.names : [image.root.digest])).slice(0, 10);
  const hint = offered.length > 0 ? `it has ${offered.join(', ')}` : 'it is empty';
  if (name === undefined) {
    const [only] = images;
    if (only && images.length === 1) return only;
    throw new TslayerError('NOT_FOUND', `${label} has ${images.length} images: say which one`, { hint });
  }
  for (const matches of [spelledLike, sameReference, sameTag]) {
    const found = images.filter((image) => matches(image, name));
    if (found[0] && found.length === 1) return found[0];
  }
  throw new TslayerError('NOT_FOUND', `${label} has no image ${JSON.stringify(name.slice(0, 200))}`, { hint });
}

function spelledLike(image: ArchivedImage, name: string): boolean {
  return image.names.includes(name) || image.root.digest === name;
}

function sameReference(image: ArchivedImage, name: string): boolean {
  const wanted = canonical(name);
  return wanted !== undefined && image.names.some((other) => canonical(other) === wanted);
}

function sameTag(image: ArchivedImage, name: string): boolean {
  return image.names.some((other) => other.endsWith(`:${name}`));
}

function canonical(name: string): string | undefined {
  try {
    return formatReference(parseReference(name));
  } catch (error) {
    if (isTslayerError(error)) return undefined;
    throw error;
  }
}

/**
 * The references that an archived image gets in a store. A full name stays what it is. A bare tag has no
 * repository: it gets podman's `localhost/` and the archive's own name, or none from standard input.
 */
export function referencesOf(image: ArchivedImage, path: string): Reference[] {
  return image.names.flatMap((name) => {
    if (isDigest(name)) return [];
    const text = /[/:]/.test(name) ? canonical(name) : canonical(`localhost/${stem(path)}:${name}`);
    return text === undefined ? [] : [parseReference(text)];
  });
}

function stem(path: string): string {
  const name = basename(path).replace(/\.(tar|tgz|gz|zst|oci)(?=\.|$).*$/, '');
  return path === '-' ? '' : name.toLowerCase();
}
