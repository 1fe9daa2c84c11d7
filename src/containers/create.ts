/**
 * Makes a container out of an image: its root file system, a row that holds it, and the spec that the launcher runs.
 * The row names the session that made it, so that what a crash leaves between row and launch is known to be nobody's.
 */
import { dropRootfs, prepareRootfs } from '../images/container-rootfs.ts';
import type { StoreContext } from '../images/context.ts';
import { buildSpec, newContainerId } from '../launch/build-spec.ts';
import type { RunOptions } from '../launch/run-options.ts';
import type { ContainerSpec } from '../launch/spec.ts';
import type { OperationOptions } from '../progress.ts';

/** Labels of our own on a container's row. */
export const SESSION_LABEL = 'tslayer.session';
/** It goes when it ends, even when nobody is left to see to it. */
export const REMOVE_LABEL = 'tslayer.remove';

export interface CreateOptions extends OperationOptions {
  readonly run: RunOptions;
  /** Remove it at its end. */
  readonly remove: boolean;
  /** Program that a watcher starts after its end. */
  readonly onExit?: ((id: string) => readonly string[]) | undefined;
}

/** Asks the driver for mounts with owners shifted, by a user namespace that there is not yet. */
const NO_FD = -1;

/** @throws ALREADY_EXISTS for a name in use, INVALID_ARGUMENT for what the launcher cannot do */
export async function createContainer(
  context: StoreContext,
  image: string,
  { run, remove, onExit, ...operation }: CreateOptions,
): Promise<ContainerSpec> {
  const id = newContainerId();
  const session = await context.session.open();
  const labels = { [SESSION_LABEL]: session, ...(remove && { [REMOVE_LABEL]: 'yes' }) };
  const mounts = {
    // What is written there goes with the container: nothing of it needs to reach the disk.
    ephemeral: remove,
    // The launcher puts the namespace in, once it is made.
    ...(run.userns !== undefined && run.userns !== 'host' && { userNamespaceFd: NO_FD }),
  };
  const rootfs = await prepareRootfs(context, image, { ...operation, id, name: run.name ?? id, labels, mounts });
  try {
    const after = onExit?.(id);
    return buildSpec({
      id,
      image: rootfs.image,
      config: rootfs.config,
      rootfs: rootfs.mounts,
      options: after ? { ...run, onExit: after } : run,
    });
  } catch (error) {
    await dropRootfs(context, id);
    throw error;
  }
}
