/**
 * index.json: the names of the store as an OCI image layout tells them. It follows the database: every change of a
 * name counts up in the same transaction, the file is then written whole and renamed into place, and the count that
 * it shows is recorded. Counts that differ when a store is opened mean that somebody died in between.
 *
 * An entry names only what is here: an index when all its platforms are, else the one manifest that was pulled, so
 * that tools which follow every reference find no hole.
 */
import { closeSync, fdatasyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { syncDirectory } from '../blobs/directory-sync.ts';
import { holdLock } from '../layers/locks.ts';
import type { Digest } from '../oci/digest.ts';
import { OCI_INDEX } from '../oci/media-types.ts';
import { parsePlatform } from '../oci/platform.ts';
import { layoutLockPath } from '../store-layout.ts';
import type { StoreContext } from './context.ts';

export const REF_NAME = 'org.opencontainers.image.ref.name';

interface EntryRow {
  readonly name: string;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly platform: string;
}

const ENTRIES = `
  SELECT i.name, b.digest, b.media_type AS mediaType, b.size, i.platform
  FROM images i JOIN blobs b ON b.digest = CASE WHEN i.all_platforms THEN i.target ELSE i.manifest END
  ORDER BY i.name`;

/** Changes names in one durable transaction; `publishNames` then shows them. */
export function changeNames<T>(context: StoreContext, work: () => T): T {
  return context.metadata.transaction(
    () => {
      const result = work();
      context.metadata.settings.count('images');
      return result;
    },
    { durable: true },
  );
}

/** Writes index.json if it does not show the newest names yet. */
export async function publishNames(context: StoreContext): Promise<void> {
  if (isPublished(context)) return;
  using _lock = await holdLock(layoutLockPath(context.paths));
  if (isPublished(context)) return;
  const { metadata } = context;
  const { generation, rows } = metadata.database.snapshot(() => ({
    generation: metadata.settings.counter('images'),
    rows: metadata.database.all<EntryRow>(ENTRIES),
  }));
  await replaceIndex(context, render(rows));
  metadata.transaction(() => metadata.settings.setCounter('layout', generation));
}

/** What index.json should hold now. */
export function renderIndex({ metadata }: StoreContext): string {
  return render(metadata.database.all<EntryRow>(ENTRIES));
}

function render(rows: readonly EntryRow[]): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: rows.map(asEntry) });
}

function isPublished({ metadata }: StoreContext): boolean {
  return metadata.settings.counter('images') === metadata.settings.counter('layout');
}

function asEntry(row: EntryRow): object {
  const { digest, mediaType, size } = row;
  const platform = row.platform === '' ? {} : { platform: parsePlatform(row.platform) };
  return { mediaType, digest, size, ...platform, annotations: { [REF_NAME]: row.name } };
}

async function replaceIndex({ paths, config }: StoreContext, text: string): Promise<void> {
  // One name is enough: whoever writes it holds the lock.
  const temporary = `${paths.tmp}/index.json`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeSync(fd, text);
    if (config.durability === 'layer') fdatasyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, paths.index);
  // Before the database says that the file shows these names.
  if (config.durability === 'layer') await syncDirectory(paths.root);
}
