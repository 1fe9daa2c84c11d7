/** OCI bundles: an image's root file system mounted, and a config.json beside it that any runtime understands. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { TslayerError } from '../errors.ts';
import type { StoreContext } from '../images/context.ts';
import { findImage, shortName } from '../images/find.ts';
import { mountImage, unmountImage } from '../images/mount.ts';
import { readImage } from '../images/read-image.ts';
import { buildSpec, newContainerId } from '../launch/build-spec.ts';
import { writeBundle } from '../launch/bundle.ts';
import type { RunOptions } from '../launch/run-options.ts';
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
  const { name } = await mountImage(context, image, { ...options, target: join(base, 'rootfs') });
  try {
    writeBundle(spec, base);
    return { directory: base, mount: name };
  } catch (error) {
    await unmountImage(context, name);
    throw error;
  }
}
