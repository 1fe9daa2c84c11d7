/** A container's root file system: a writable snapshot over an image, and the row that says whose it is. */

import type { MountRequest } from '../../drivers/driver.ts';
import { isTslayerError, TslayerError } from '../errors.ts';
import type { ContainerRow } from '../metadata/containers.ts';
import type { Mount } from '../mounts/mount.ts';
import type { ImageConfig } from '../oci/config.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { findImage, shortName } from './find.ts';
import { readImage } from './read-image.ts';
import { ensureUnpacked } from './unpack.ts';

export interface RootfsRequest extends OperationOptions {
  /** The launcher's id of the container. */
  readonly id: string;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** More labels, by those of all containers that there are: nobody else adds one meanwhile. */
  readonly choose?: ((others: readonly ContainerRow[]) => Readonly<Record<string, string>>) | undefined;
  readonly mounts?: MountRequest | undefined;
}

export interface ContainerRootfs {
  readonly row: ContainerRow;
  /** To be performed in the container's mount namespace. */
  readonly mounts: readonly Mount[];
  readonly config: ImageConfig;
  /** The image, short. */
  readonly image: string;
}

/**
 * Prepares the root file system of a new container over an image of the store. The row keeps image and snapshot
 * until `dropRootfs`. @throws NOT_FOUND; ALREADY_EXISTS when the id or name is taken
 */
export async function prepareRootfs(
  context: StoreContext,
  text: string,
  request: RootfsRequest,
): Promise<ContainerRootfs> {
  const { metadata, snapshots } = context;
  const image = findImage(context, text);
  const chain = await ensureUnpacked(context, image, request);
  const { config } = await readImage(context, image.manifest);
  if (config === undefined) throw new TslayerError('UNSUPPORTED', `${shortName(image.name)} is no image that can run`);
  const key = snapshotKey(request.id);
  let row: ContainerRow = {
    id: request.id,
    name: request.name,
    snapshot: key,
    image: image.name,
    labels: request.labels ?? {},
    createdAt: Date.now(),
  };
  const record = () => {
    if (metadata.containers.byName(row.name)) {
      throw new TslayerError('ALREADY_EXISTS', `the container name ${row.name} is taken`);
    }
    if (request.choose) row = { ...row, labels: { ...row.labels, ...request.choose(metadata.containers.list()) } };
    metadata.containers.put(row);
    metadata.images.touch(image.name, Date.now());
  };
  const labels = { image: image.name, container: request.name };
  const { manifest } = image;
  const durable = request.mounts?.ephemeral !== true;
  await snapshots.create(key, chain, { kind: 'active', manifest, labels, alongside: record, durable });
  const mounts = await snapshots.mounts(key, request.mounts);
  return { row, mounts, config, image: shortName(image.name) };
}

/**
 * Forgets a container and drops what was written in it. Idempotent; nothing may be mounted of it any more.
 * @param durable default true; an ephemeral one that comes back after a power loss goes with the next sweep
 */
export async function dropRootfs(context: StoreContext, id: string, durable: boolean = true): Promise<void> {
  const { metadata, snapshots } = context;
  const forget = () => void metadata.containers.delete(id);
  if (metadata.snapshots.get(snapshotKey(id))) {
    try {
      return await snapshots.remove(snapshotKey(id), forget, durable);
    } catch (error) {
      // Its watcher and whoever looks at it remove it at the same time.
      if (!isTslayerError(error, 'NOT_FOUND')) throw error;
    }
  }
  metadata.transaction(forget, { durable });
}

function snapshotKey(containerId: string): string {
  return `container-${containerId}`;
}
