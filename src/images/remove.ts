/**
 * `rmi`: names go in one transaction, with everything that they alone held. The disk follows: a layer of the EROFS
 * driver is one unlink.
 */
import { TslayerError } from '../errors.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { ChainID, Digest } from '../oci/digest.ts';
import { type Collected, collectedBytes, dropUnheld, removeDropped } from './collect.ts';
import type { StoreContext } from './context.ts';
import { byId, findImage, shortName } from './find.ts';
import { changeNames, publishNames } from './layout-index.ts';

export interface RemoveOptions {
  /** Take all names of an image that is given by its id. */
  readonly force?: boolean | undefined;
}

export interface Removal {
  /** Names that are gone, short. */
  readonly untagged: readonly string[];
  /** Digests of blobs that are gone: manifests, configs, layers. */
  readonly blobs: readonly Digest[];
  /** ChainIDs of unpacked layers that are gone. */
  readonly chains: readonly ChainID[];
  /** Bytes that they took. */
  readonly freedBytes: number;
}

/**
 * Removes images by name or id; all of them or, when one is not there or in use, none.
 * @throws NOT_FOUND; IN_USE, saying by whom
 */
export async function removeImages(
  context: StoreContext,
  texts: readonly string[],
  options: RemoveOptions = {},
): Promise<Removal> {
  const session = await context.session.open();
  const { rows, dropped } = changeNames(context, () => takeNames(context, texts, options, session));
  await publishNames(context);
  await removeDropped(context, dropped, session);
  return asRemoval(rows, dropped);
}

function asRemoval(rows: readonly ImageRow[], dropped: Collected): Removal {
  return {
    untagged: rows.map((row) => shortName(row.name)),
    blobs: dropped.blobs.map(({ digest }) => digest),
    chains: dropped.chains,
    freedBytes: collectedBytes(dropped),
  };
}

/** What `removeImages` would do, found out by doing it in a transaction that is rolled back. */
export async function previewRemoval(
  context: StoreContext,
  texts: readonly string[],
  options: RemoveOptions = {},
): Promise<Removal> {
  const session = await context.session.open();
  const { rows, dropped } = context.metadata.database.preview(() => takeNames(context, texts, options, session));
  return asRemoval(rows, dropped);
}

/** The rows' side of it, inside a transaction. */
export function takeNames(
  context: StoreContext,
  texts: readonly string[],
  options: RemoveOptions,
  session: string,
): { readonly rows: readonly ImageRow[]; readonly dropped: Collected } {
  const { metadata } = context;
  const rows = [
    ...new Map(texts.flatMap((text) => select(context, text, options)).map((row) => [row.name, row])).values(),
  ];
  for (const row of rows) metadata.images.delete(row.name);
  for (const row of rows) requireUnused(context, row);
  const dropped = dropUnheld(metadata, session, {
    blobs: rows.flatMap((row) => [row.config, row.manifest, row.target]),
    chains: rows.flatMap((row) => row.chainId ?? []),
  });
  return { rows, dropped };
}

function select(context: StoreContext, text: string, options: RemoveOptions): ImageRow[] {
  const row = findImage(context, text);
  const sameId = byId(context, text);
  if (!sameId.some(({ name }) => name === row.name)) return [row];
  if (sameId.length > 1 && !options.force) {
    const names = sameId.slice(0, 4).map(({ name }) => shortName(name));
    throw new TslayerError('IN_USE', `${text} has several names: ${names.join(', ')}`, {
      hint: 'remove one by its name, or all of them with --force',
    });
  }
  return sameId;
}

/** The last name of an image stays while something is made of it. */
function requireUnused({ metadata }: StoreContext, row: ImageRow): void {
  if (metadata.images.byDigest(row.manifest).length > 0) return;
  const [snapshot] = metadata.snapshots.byManifest(row.manifest);
  if (snapshot === undefined) return;
  const name = shortName(row.name);
  const mount = metadata.mounts.get(snapshot.key);
  if (mount) {
    const hint = `unmount it first: tslayer umount ${mount.name}`;
    throw new TslayerError('IN_USE', `${name} is mounted at ${mount.target}`, { hint });
  }
  const [container] = metadata.containers.bySnapshot(snapshot.key);
  if (container) {
    const hint = `remove it first: tslayer rm ${container.name}`;
    throw new TslayerError('IN_USE', `${name} is used by container ${container.name}`, { hint });
  }
  const hint = `drop what was written in it: tslayer umount ${snapshot.key}`;
  throw new TslayerError('IN_USE', `${name} has the kept snapshot ${snapshot.key}`, { hint });
}
