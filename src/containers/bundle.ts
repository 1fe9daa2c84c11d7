/** OCI bundles: an image's root file system mounted, and a config.json beside it that any runtime understands. */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TslayerError } from '../errors.ts';
import type { StoreContext } from '../images/context.ts';
import { findImage, shortName } from '../images/find.ts';
import { listMounts, type MountedImage, mountImage, unmountImage } from '../images/mount.ts';
import { readImage } from '../images/read-image.ts';
import { buildSpec, newContainerId } from '../launch/build-spec.ts';
import { writeBundle } from '../launch/bundle.ts';
import type { RunOptions } from '../launch/run-options.ts';
import type { ImageRow } from '../metadata/images.ts';
import type { OperationOptions } from '../progress.ts';

export interface Bundle {
  /** Absolute; holds config.json, rootfs and the files that are bound into it. */
  readonly directory: string;
  /** Name of the mount at DIRECTORY/rootfs: `umount` ends it. */
  readonly mount: string;
}

/** @throws NOT_FOUND; ALREADY_EXISTS when something is mounted there */
export async function bundleImage(
  context: StoreContext,
  image: string,
  directory: string,
  run: RunOptions,
  options: OperationOptions = {},
): Promise<Bundle> {
  const row = findImage(context, image);
  const { config } = await readImage(context, row.manifest);
  if (config === undefined) throw new TslayerError('UNSUPPORTED', `${shortName(row.name)} is no image that can run`);
  const base = resolve(directory);
  mkdirSync(base, { recursive: true });
  const spec = buildSpec({ id: newContainerId(), image: shortName(row.name), config, rootfs: [], options: run });
  const { name } = await mountRootfs(context, row, base, options);
  try {
    writeBundle(spec, base);
    return { directory: base, mount: name };
  } catch (error) {
    await unmountImage(context, name);
    throw error;
  }
}

/** The config is what comes last: without it, a bundle was begun by somebody who died, and is gone on with. */
async function mountRootfs(
  context: StoreContext,
  image: ImageRow,
  base: string,
  options: OperationOptions,
): Promise<MountedImage> {
  const target = join(base, 'rootfs');
  const begun = await mountedAt(context, image, target);
  if (begun?.state === 'mounted' && !existsSync(join(base, 'config.json'))) return begun;
  return mountImage(context, image.name, {
    ...options,
    target,
    name: begun?.state === 'gone' ? begun.name : undefined,
  });
}

async function mountedAt(context: StoreContext, image: ImageRow, target: string): Promise<MountedImage | undefined> {
  if (!existsSync(target)) return undefined;
  const real = realpathSync(target);
  return (await listMounts(context)).find((mount) => mount.target === real && mount.image === shortName(image.name));
}
