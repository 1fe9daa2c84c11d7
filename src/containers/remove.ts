/**
 * Takes containers away: the launcher's state first, then the row and what was written. The row is the last to go:
 * by it, what a crash leaves is found again.
 */
import { isTslayerError } from '../errors.ts';
import { dropRootfs } from '../images/container-rootfs.ts';
import type { StoreContext } from '../images/context.ts';
import type { Container, Launcher } from '../launch/launcher.ts';
import { takeSession } from '../layers/session.ts';
import type { ContainerRow } from '../metadata/containers.ts';
import { REMOVE_LABEL, SESSION_LABEL } from './create.ts';

/** @throws NOT_FOUND; IN_USE while it runs, unless forced */
export async function removeContainer(
  context: StoreContext,
  launcher: Launcher,
  name: string,
  options: { readonly force?: boolean } = {},
): Promise<void> {
  try {
    const { id } = await launcher.remove(name, options);
    await dropRootfs(context, id, context.metadata.containers.get(id)?.labels[REMOVE_LABEL] === undefined);
  } catch (error) {
    // A crash may have left the row, and some of the rest.
    const row = context.metadata.containers.byName(name) ?? context.metadata.containers.get(name);
    if (row === undefined || !isTslayerError(error, 'NOT_FOUND')) throw error;
    await dropRemains(context, launcher, row.id);
  }
}

/** What there is of a container that the launcher knows not, or no more. */
export async function dropRemains(context: StoreContext, launcher: Launcher, id: string): Promise<void> {
  await launcher.clear(id);
  await dropRootfs(context, id);
}

/**
 * Removes what ended while nobody was there to do so: containers that were to go at their end, and rows whose maker
 * died before the launch. Nothing is looked at on disk while there are no containers.
 */
export async function sweepContainers(context: StoreContext, launcher: Launcher): Promise<void> {
  const rows = context.metadata.containers.list();
  if (rows.length === 0) return;
  const known = new Map((await launcher.list()).map((container) => [container.id, container]));
  for (const row of rows) {
    const container = known.get(row.id);
    if (container === undefined) await sweepUnlaunched(context, launcher, row);
    else if (row.labels[REMOVE_LABEL] !== undefined && isOver(container)) {
      await removeContainer(context, launcher, row.id).catch(ignoreGone);
    }
  }
}

function isOver({ state }: Container): boolean {
  return state.status === 'exited';
}

async function sweepUnlaunched(context: StoreContext, launcher: Launcher, row: ContainerRow): Promise<void> {
  const session = row.labels[SESSION_LABEL];
  if (session === undefined || session === context.session.openId) return;
  // Its maker lives: it is just being made, or removed.
  using taken = await takeSession(context.paths, session);
  if (taken !== undefined) await dropRemains(context, launcher, row.id);
}

/** Somebody else removed it at the same time. */
export function ignoreGone(error: unknown): void {
  if (!isTslayerError(error, 'NOT_FOUND')) throw error;
}
