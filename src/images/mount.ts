/**
 * Mounts that survive the process: a snapshot over an image, its row, and the mount itself, in this order; taken
 * away in the opposite order. A crash in between leaves a row whose mountpoint has nothing on it, which `mounts`
 * tells, `umount` takes away and mounting by the same name completes.
 */
import { realpathSync, rmdirSync } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { asTslayerError, TslayerError, throwIfAborted } from '../errors.ts';
import { holdLock } from '../layers/locks.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { MountRow } from '../metadata/mounts.ts';
import type { ChainID } from '../oci/digest.ts';
import { parseReference } from '../oci/reference.ts';
import type { OperationOptions } from '../progress.ts';
import { mountsLockPath, type StorePaths } from '../store-layout.ts';
import { makeDirectories } from '../sys/make-directories.ts';
import { randomHex } from '../sys/random.ts';
import type { StoreContext } from './context.ts';
import { findImage, shortName } from './find.ts';
import { sweepUnusedStages } from './sweep.ts';
import { ensureUnpacked } from './unpack.ts';

export interface MountImageOptions extends OperationOptions {
  /** Default: made from the image's name. */
  readonly name?: string | undefined;
  /** A view instead of a writable snapshot. */
  readonly readOnly?: boolean | undefined;
  /** Where; made when it is not there. Default: ROOT/mounts/NAME. */
  readonly target?: string | undefined;
}

export interface MountedImage {
  readonly name: string;
  /** The mountpoint. */
  readonly target: string;
  /** The image, short. */
  readonly image: string;
  readonly readOnly: boolean;
  /** `gone`: recorded, but nothing is mounted there now (after a reboot, or umount(8)). */
  readonly state: 'mounted' | 'gone';
  readonly createdAt: string;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;

/**
 * Mounts an image from the store copy-on-write. With the name of a snapshot of the same image that is not mounted
 * (kept by `umount --keep`, or gone by a reboot), that one is mounted again with all that was written.
 * @throws NOT_FOUND, ALREADY_EXISTS for a name or mountpoint in use, DENIED without root
 */
export async function mountImage(
  context: StoreContext,
  text: string,
  options: MountImageOptions = {},
): Promise<MountedImage> {
  const image = findImage(context, text);
  const chain = await ensureUnpacked(context, image, options);
  const name = options.name ?? freeName(context, image);
  if (!NAME.test(name)) throw new TslayerError('INVALID_ARGUMENT', `not a name for a mount: ${JSON.stringify(name)}`);
  using _lock = await holdLock(mountsLockPath(context.paths), { signal: options.signal });
  const target = prepareTarget(context, name, options.target);
  const known = context.metadata.mounts.get(name);
  const row: MountRow = known ?? {
    name,
    target,
    readOnly: options.readOnly ?? false,
    image: image.name,
    createdAt: Date.now(),
  };
  const isNew = await prepareSnapshot(context, image, chain, row);
  if (!isNew && known === undefined) context.metadata.transaction(() => context.metadata.mounts.put(row));
  try {
    throwIfAborted(options.signal);
    const { performMounts } = await import('../mounts/perform.ts');
    const { stages, tmp } = context.paths;
    performMounts(await context.snapshots.mounts(name), target, { stages, scratch: tmp, signal: options.signal });
  } catch (error) {
    if (known === undefined) context.metadata.transaction(() => context.metadata.mounts.delete(name));
    if (isNew) await context.snapshots.remove(name);
    removeTarget(context, target);
    throw error;
  }
  context.metadata.transaction(() => context.metadata.images.touch(image.name, Date.now()));
  return describe(row, true);
}

export interface UnmountImageOptions extends OperationOptions {
  /** Keep what was written: mounting by the same name shows it again. */
  readonly keep?: boolean | undefined;
  /** Also while programs work in it; they keep their view until they end. */
  readonly force?: boolean | undefined;
}

/**
 * Unmounts by name or path, and drops the snapshot unless `keep`. Also drops a kept snapshot by its name.
 * @throws NOT_FOUND; IN_USE while a program works in it
 */
export async function unmountImage(
  context: StoreContext,
  nameOrPath: string,
  options: UnmountImageOptions = {},
): Promise<void> {
  using _lock = await holdLock(mountsLockPath(context.paths), { signal: options.signal });
  const { metadata, snapshots, paths } = context;
  const row = findRow(context, nameOrPath);
  const name = row?.name ?? keptSnapshot(context, nameOrPath);
  if (name === undefined) throw new TslayerError('NOT_FOUND', `nothing is mounted as or at ${nameOrPath}`);
  if (row) {
    const { unmount } = await import('../mounts/unmount.ts');
    // Nothing there: whoever took it away may have died before he took away what it was made of.
    if (!unmount(row.target, { stages: paths.stages, detach: options.force })) await sweepUnusedStages(paths);
    metadata.transaction(() => metadata.mounts.delete(row.name), { durable: true });
    removeTarget(context, row.target);
  }
  if (!options.keep) await snapshots.remove(name);
}

/** All mounts, with whether they are there. */
export async function listMounts(context: StoreContext): Promise<MountedImage[]> {
  const rows = context.metadata.mounts.list();
  if (rows.length === 0) return [];
  const { readMountInfo } = await import('../mounts/mountinfo.ts');
  const points = new Set(readMountInfo().map((mount) => mount.mountPoint));
  return rows.map((row) => describe(row, points.has(row.target)));
}

function describe(row: MountRow, mounted: boolean): MountedImage {
  const { name, target, readOnly, createdAt } = row;
  const state = mounted ? 'mounted' : 'gone';
  return { name, target, image: shortName(row.image), readOnly, state, createdAt: new Date(createdAt).toISOString() };
}

/** `alpine-3f9c`: from the image's name, and not taken. */
function freeName({ metadata }: StoreContext, image: ImageRow): string {
  const base = parseReference(image.name).repository.split('/').at(-1) ?? 'image';
  for (;;) {
    const name = `${base.slice(0, 100)}-${randomHex(2)}`;
    if (metadata.snapshots.get(name) === undefined) return name;
  }
}

/** The mountpoint's real path, as mountinfo will spell it. */
function prepareTarget({ paths, metadata }: StoreContext, name: string, wanted: string | undefined): string {
  const path = resolve(wanted ?? join(paths.mounts, name));
  refuseOverStore(paths, path);
  try {
    makeDirectories(path);
  } catch (error) {
    throw asTslayerError(error, `cannot make the mountpoint ${path}`);
  }
  const target = realpathSync(path);
  refuseOverStore(paths, target);
  const other = metadata.mounts.byTarget(target);
  if (other && other.name !== name) {
    throw new TslayerError('ALREADY_EXISTS', `${other.name} is mounted at ${target} already`, {
      hint: `umount ${other.name} first, or choose another place with --target`,
    });
  }
  return target;
}

/** What is mounted over the store, or over a part of it, hides it. */
function refuseOverStore({ root, mounts }: StorePaths, target: string): void {
  const store = realpathSync(root);
  const isAbove = store === target || store.startsWith(target.replace(/\/?$/, '/'));
  const isBelow = target.startsWith(`${store}/`) && dirname(target) !== realpathSync(mounts);
  // Nothing can be made in /proc either, and Node's recursive mkdir tries for ever.
  if (!isAbove && !isBelow && !target.startsWith('/proc/')) return;
  throw new TslayerError('INVALID_ARGUMENT', `${target} is no place for a mount`, {
    hint: isAbove || isBelow ? `the store lies at ${store}: choose a directory beside it` : undefined,
  });
}

/** A new snapshot with its mount's row, or the one of that name when it can be mounted again; true when it is new. */
async function prepareSnapshot(
  context: StoreContext,
  image: ImageRow,
  chain: ChainID | undefined,
  row: MountRow,
): Promise<boolean> {
  const { metadata, snapshots } = context;
  const { name, target } = row;
  const kind = row.readOnly ? 'view' : 'active';
  const found = metadata.snapshots.get(name);
  if (found === undefined) {
    // Together: a snapshot that no mount tells of would be found by nobody.
    const alongside = () => metadata.mounts.put(row);
    const labels = { image: image.name };
    await snapshots.create(name, chain, { kind, manifest: image.manifest, labels, alongside, durable: true });
    return true;
  }
  const mount = metadata.mounts.get(name);
  const isFree = metadata.containers.bySnapshot(name).length === 0 && !(mount && (await isMounted(mount.target)));
  if (!isFree || found.parent !== (chain ?? null) || found.kind !== kind || (mount && mount.target !== target)) {
    throw new TslayerError('ALREADY_EXISTS', `the name ${name} is taken`, {
      hint: 'choose another one with --name, or umount that one first',
    });
  }
  return false;
}

async function isMounted(target: string): Promise<boolean> {
  const mountinfo = await import('../mounts/mountinfo.ts');
  return mountinfo.findMount(target) !== undefined;
}

function findRow({ metadata }: StoreContext, nameOrPath: string): MountRow | undefined {
  const named = metadata.mounts.get(nameOrPath);
  if (named) return named;
  const path = resolve(nameOrPath);
  return metadata.mounts.byTarget(path) ?? metadata.mounts.byTarget(realParent(path));
}

/** Real but for its last component: what is mounted there may be broken. */
function realParent(path: string): string {
  try {
    return join(realpathSync(dirname(path)), path.slice(dirname(path).length).replace(/^\//, ''));
  } catch {
    return path;
  }
}

/** A snapshot made by `mount` that is not mounted and belongs to no container. */
function keptSnapshot({ metadata }: StoreContext, name: string): string | undefined {
  if (isAbsolute(name)) return undefined;
  const row = metadata.snapshots.get(name);
  if (row === undefined || row.kind === 'committed') return undefined;
  return metadata.containers.bySnapshot(name).length === 0 ? name : undefined;
}

/** Mountpoints of our own go with the mount; others were somebody's directory before. */
function removeTarget({ paths }: StoreContext, target: string): void {
  if (dirname(target) !== realParent(paths.mounts)) return;
  try {
    rmdirSync(target);
  } catch {
    // Not empty, or gone: nothing that a mount needs.
  }
}
