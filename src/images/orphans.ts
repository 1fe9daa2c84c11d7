/**
 * Things on the disk that no row knows: left by a power loss, by a lost database or by a hand. What a living process
 * is making has a lease or a garbage row before it appears, so it is looked for on the disk first and in the rows
 * afterwards.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { throwIfAborted } from '../errors.ts';
import { stringsIn } from '../metadata/key-list.ts';
import { ALGORITHMS, type Algorithm, type Digest, isDigest } from '../oci/digest.ts';
import type { OperationOptions } from '../progress.ts';
import { blobPath } from '../store-layout.ts';
import { removeBlobFile } from './collect.ts';
import type { StoreContext } from './context.ts';
import { removeCache, staleCaches } from './stack-caches.ts';

export interface Orphan {
  readonly kind: 'blob' | 'layer' | 'cache' | 'partial' | 'file';
  /** Digest of a blob or partial, the driver's id of a layer, a name of the others. */
  readonly key: string;
  /** Below ROOT. */
  readonly path: string;
  readonly bytes: number;
  readonly because: string;
  /** It is sound, and only of no use any more: for gc to collect, and no fault. */
  readonly isSpare?: boolean;
}

/** Names on the disk that are to be held against rows. */
export interface ContentNames {
  readonly blobs: readonly (readonly [algorithm: Algorithm, sorted: readonly string[]])[];
  readonly layers: readonly string[];
}

/** Looks at the disk. What has a row or is being made when this begins is found in the rows that are read afterwards. */
export async function listContent(context: StoreContext): Promise<ContentNames> {
  const [layers, ...blobs] = await Promise.all([
    layerIds(context),
    ...ALGORITHMS.map(async (algorithm) => [algorithm, await context.blobs.names(algorithm)] as const),
  ]);
  return { blobs, layers };
}

async function layerIds(context: StoreContext): Promise<string[]> {
  const ids: string[] = [];
  if (context.driverName !== undefined) for await (const id of (await context.driver()).list()) ids.push(id);
  return ids;
}

/**
 * @param content as it was found before
 * @param digests of blobs that had rows after that or at the same time, sorted; default: they are asked for
 */
export async function findOrphans(
  context: StoreContext,
  content?: ContentNames,
  digests?: readonly string[],
): Promise<Orphan[]> {
  const { blobs, layers } = content ?? (await listContent(context));
  return [
    ...orphanBlobs(context, blobs, digests ?? digestsOfRows(context)),
    ...(await orphanPartials(context)),
    ...(await orphanLayers(context, layers)),
    ...(await orphanCaches(context)),
    ...orphanFiles(context),
  ];
}

export async function removeOrphans(
  context: StoreContext,
  orphans: readonly Orphan[],
  { signal }: OperationOptions = {},
): Promise<void> {
  for (const orphan of orphans) {
    throwIfAborted(signal);
    if (orphan.kind === 'blob' || orphan.kind === 'partial') await removeBlobFile(context, orphan.key as Digest);
    else if (orphan.kind === 'layer') await context.layers.removeFromDisk(orphan.key);
    else if (orphan.kind === 'cache') await removeCache(context, orphan.key);
    else rmSync(join(context.paths.root, orphan.path), { recursive: true, force: true });
  }
}

function orphanBlobs(
  { blobs, metadata, paths }: StoreContext,
  content: ContentNames['blobs'],
  digests: readonly string[],
): Orphan[] {
  const garbage = garbageKeys(metadata);
  return content
    .flatMap(([algorithm, names]) => namesBeyond(digests, `${algorithm}:`, names))
    .filter(isDigest)
    .filter((digest) => !garbage.has(digest) && !metadata.leases.holds('blob', digest) && !metadata.blobs.has(digest))
    .flatMap((digest) => {
      const found = blobs.stat(digest);
      // One that is gone meanwhile was removed by somebody who knew it.
      if (found === undefined) return [];
      const path = blobPath(paths, digest).slice(paths.root.length + 1);
      return { kind: 'blob', key: digest, path, bytes: found.size, because: 'no row knows it' };
    });
}

function digestsOfRows({ metadata: { database } }: StoreContext): string[] {
  const [count, digests] = database.texts(['digest'], 'SELECT digest FROM blobs ORDER BY digest');
  return stringsIn(digests, count);
}

/** Names that with the prefix are none of the keys. Both are sorted, so that they are walked side by side. */
function namesBeyond(keys: readonly string[], prefix: string, names: readonly string[]): string[] {
  const beyond: string[] = [];
  let at = 0;
  for (const name of names) {
    // Nearly always it is the next one, which takes no new string to see.
    if (isMadeOf(keys[at + 1], prefix, name)) at++;
    if (isMadeOf(keys[at], prefix, name)) continue;
    const key = prefix + name;
    while (at < keys.length && (keys[at] as string) < key) at++;
    if (keys[at] !== key) beyond.push(key);
  }
  return beyond;
}

function isMadeOf(key: string | undefined, prefix: string, name: string): boolean {
  return key?.length === prefix.length + name.length && key.endsWith(name) && key.startsWith(prefix);
}

async function orphanPartials({ blobs, metadata }: StoreContext): Promise<Orphan[]> {
  const found: Orphan[] = [];
  for await (const { digest, bytesOnDisk } of blobs.listPartial()) {
    if (metadata.leases.holds('blob', digest)) continue;
    const path = `ingest/${digest.replace(':', '-')}`;
    found.push({ kind: 'partial', key: digest, path, bytes: bytesOnDisk, because: 'no pull will go on with it' });
  }
  return found;
}

async function orphanLayers(context: StoreContext, found: ContentNames['layers']): Promise<Orphan[]> {
  const { metadata } = context;
  if (found.length === 0) return [];
  const garbage = garbageKeys(metadata);
  const beyond = namesBeyond(idsOfRows(context), '', found.toSorted());
  const unknown = new Set(beyond.filter((id) => !garbage.has(id)));
  if (unknown.size === 0) return [];
  // As with blobs.
  const there = (await layerIds(context)).filter((id) => unknown.has(id));
  const driver = await context.driver();
  return Promise.all(
    there.map(async (id) => ({
      kind: 'layer' as const,
      key: id,
      path: `layers/${id}`,
      bytes: (await driver.usage(id)).bytes,
      because: 'no row knows it',
    })),
  );
}

function idsOfRows({ metadata: { database } }: StoreContext): string[] {
  const sql = 'SELECT id FROM layers UNION ALL SELECT id FROM snapshots WHERE id IS NOT NULL ORDER BY id';
  const [count, ids] = database.texts(['id'], sql);
  return stringsIn(ids, count);
}

async function orphanCaches(context: StoreContext): Promise<Orphan[]> {
  if (context.driverName === undefined) return [];
  const stale = await staleCaches(context);
  return stale.map(({ name, bytes, stack }) => ({
    kind: 'cache',
    key: name,
    path: `layers/${name}`,
    bytes,
    because: stack.length > 0 ? 'no image has these layers in this order' : 'it does not tell its layers',
    isSpare: stack.length > 0,
  }));
}

/** Indexes of layers that are gone. */
function orphanFiles({ paths, metadata }: StoreContext): Orphan[] {
  const names = readdirSync(paths.indexes);
  const garbage = garbageKeys(metadata);
  return names
    .filter((name) => !garbage.has(name) && metadata.layers.byId(name) === undefined)
    .map((name) => {
      const path = `indexes/${name}`;
      const bytes = (lstatSync(join(paths.root, path), { throwIfNoEntry: false })?.blocks ?? 0) * 512;
      return { kind: 'file', key: name, path, bytes, because: 'its layer is gone' };
    });
}

function garbageKeys(metadata: StoreContext['metadata']): Set<string> {
  return new Set(metadata.garbage.list().map((row) => row.key));
}
