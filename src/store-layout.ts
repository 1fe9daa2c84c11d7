/**
 * Where everything of a store lies. Nothing else spells a path below ROOT.
 *
 *   ROOT/                       0700
 *     oci-layout  index.json    a valid OCI image layout: skopeo, umoci and buildah read it as it is
 *     blobs/sha256/HEX          whole, verified blobs
 *     reserve                   room that is given back when the disk is full, so that something can be removed
 *     metadata.db (-wal, -shm)  what is here and what holds it; the authority, index.json follows it
 *     ingest/sha256-HEX         partial blobs; the file is the lock of its writer
 *     uploads/HEX               where the upload of a blob goes on; the file is the lock of its pusher
 *     layers/                   the driver's own
 *     indexes/ID                file index of the layer ID, kept for diff, ls and cat
 *     mounts/NAME               default mountpoints
 *     containers/ID/            config, state, log
 *     run/stages/               image files mounted while mounts are made of them
 *     locks/NAME                flock(2) files
 *     sessions/ID               one a process that writes, held locked while it lives
 *     tmp/SESSION-…             scratch of living processes; the rest is swept when a store is opened
 */
import { join } from 'node:path';
import { algorithmOf, type ChainID, type DiffID, type Digest, hexOf } from './oci/digest.ts';

export interface StorePaths {
  readonly root: string;
  readonly reserve: string;
  readonly database: string;
  readonly ociLayout: string;
  readonly index: string;
  readonly blobs: string;
  readonly ingest: string;
  readonly uploads: string;
  readonly layers: string;
  readonly indexes: string;
  readonly mounts: string;
  readonly containers: string;
  readonly run: string;
  readonly stages: string;
  readonly locks: string;
  readonly sessions: string;
  readonly tmp: string;
}

/** Directories that a new store consists of, parents first. */
export const STORE_DIRECTORIES: readonly (keyof StorePaths)[] = [
  'blobs',
  'ingest',
  'uploads',
  'layers',
  'indexes',
  'mounts',
  'containers',
  'run',
  'locks',
  'sessions',
  'tmp',
];

/** What the file oci-layout holds. OCI Image Specification image-layout.md. */
export const OCI_LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

export function storePaths(root: string): StorePaths {
  return {
    root,
    reserve: join(root, 'reserve'),
    database: join(root, 'metadata.db'),
    ociLayout: join(root, 'oci-layout'),
    index: join(root, 'index.json'),
    blobs: join(root, 'blobs'),
    ingest: join(root, 'ingest'),
    uploads: join(root, 'uploads'),
    layers: join(root, 'layers'),
    indexes: join(root, 'indexes'),
    mounts: join(root, 'mounts'),
    containers: join(root, 'containers'),
    run: join(root, 'run'),
    stages: join(root, 'run', 'stages'),
    locks: join(root, 'locks'),
    sessions: join(root, 'sessions'),
    tmp: join(root, 'tmp'),
  };
}

export function blobPath(paths: StorePaths, digest: Digest): string {
  return `${paths.blobs}/${algorithmOf(digest)}/${hexOf(digest)}`;
}

export function ingestPath(paths: StorePaths, digest: Digest): string {
  return `${paths.ingest}/${algorithmOf(digest)}-${hexOf(digest)}`;
}

/** Held while a layer is unpacked; `key` is a diffID or chainID. */
export function layerLockPath(paths: StorePaths, key: DiffID | ChainID): string {
  return `${paths.locks}/layer-${hexOf(key)}`;
}

/** Held while a new store is made. */
export function creationLockPath(paths: StorePaths): string {
  return `${paths.locks}/store`;
}

/** Held while index.json is replaced. */
export function layoutLockPath(paths: StorePaths): string {
  return `${paths.locks}/layout`;
}

/** Held while a mount is made, taken away or given up for lost. */
export function mountsLockPath(paths: StorePaths): string {
  return `${paths.locks}/mounts`;
}

/** File index of a layer, by the driver's id of it. */
export function layerIndexPath(paths: StorePaths, id: string): string {
  return `${paths.indexes}/${id}`;
}

export function containerPath(paths: StorePaths, id: string): string {
  return `${paths.containers}/${id}`;
}
