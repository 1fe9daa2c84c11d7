/**
 * Makes a container out of an image: its root file system, a row that holds it, and the spec that the launcher runs.
 * The row names the session that made it, so that what a crash leaves between row and launch is known to be nobody's.
 */
import { dropRootfs, prepareRootfs } from '../images/container-rootfs.ts';
import type { StoreContext } from '../images/context.ts';
import { buildSpec, newContainerId } from '../launch/build-spec.ts';
import { localHost } from '../launch/host.ts';
import { formatRange, parseRange, takeRange } from '../launch/options/id-ranges.ts';
import type { RunOptions } from '../launch/run-options.ts';
import type { ContainerSpec } from '../launch/spec.ts';
import type { ContainerRow } from '../metadata/containers.ts';
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

/** The host's ids that it has, of a user namespace of its own. */
const RANGE_LABEL = 'tslayer.userns';

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
  const choose = (others: readonly ContainerRow[]) => rangeFor(run.userns, others);
  const request = { ...operation, id, name: run.name ?? id, labels, choose, mounts };
  const rootfs = await prepareRootfs(context, image, request);
  const userns = rootfs.row.labels[RANGE_LABEL] ?? run.userns;
  try {
    const after = onExit?.(id);
    return buildSpec({
      id,
      image: rootfs.image,
      config: rootfs.config,
      rootfs: rootfs.mounts,
      options: { ...run, ...(userns !== undefined && { userns }), ...(after && { onExit: after }) },
    });
  } catch (error) {
    await dropRootfs(context, id);
    throw error;
  }
}

/** The range of `--userns`; of `auto`, one that no other container of the store has. */
function rangeFor(userns: string | undefined, others: readonly ContainerRow[]): Readonly<Record<string, string>> {
  if (userns === undefined) return {};
  const taken = others.flatMap(({ labels }) => parseRange(labels[RANGE_LABEL] ?? '') ?? []);
  const range = userns === 'auto' ? takeRange(localHost.automaticRanges(), taken) : parseRange(userns);
  return range === undefined ? {} : { [RANGE_LABEL]: formatRange(range) };
}
