/** `tslayer diff NAME`: what was written to a snapshot since it was made. */
import type { Change } from '../../drivers/driver.ts';
import { TslayerError, throwIfAborted } from '../errors.ts';
import type { OperationOptions } from '../progress.ts';
import type { StoreContext } from './context.ts';
import { describeFile, type FileDescription, showBytes } from './file-description.ts';
import { withoutMountpoints } from './launcher-mountpoints.ts';
import { byteString } from './layer-tree.ts';

export interface SnapshotChange {
  readonly change: 'added' | 'modified' | 'deleted';
  readonly path: string;
  /** The directory was replaced: nothing of the image shows through. */
  readonly replaced?: true;
  /** As it is now; not for what is deleted. */
  readonly file?: FileDescription;
}

/** Sorted by path bytes. NOT_FOUND for a name that is no writable snapshot. */
export async function diffSnapshot(
  context: StoreContext,
  name: string,
  options: OperationOptions = {},
): Promise<SnapshotChange[]> {
  const result: SnapshotChange[] = [];
  for await (const change of snapshotChanges(context, name)) {
    throwIfAborted(options.signal);
    if (change.kind === 'opaque') {
      const last = result.at(-1);
      if (last) result[result.length - 1] = { ...last, replaced: true };
    } else result.push(describe(change));
  }
  return result;
}

function describe(change: Exclude<Change, { kind: 'opaque' }>): SnapshotChange {
  if (change.kind === 'deleted') return { change: 'deleted', path: showBytes(byteString(change.path)) };
  const path = byteString(change.entry.path);
  return {
    change: change.kind,
    path: showBytes(path),
    file: describeFile(path, { entry: change.entry, links: 1 }),
  };
}

/** What the driver finds (the same on every driver), without what only the launcher has made. */
export async function* snapshotChanges(context: StoreContext, name: string): AsyncGenerator<Change, void> {
  const row = context.metadata.snapshots.get(name);
  if (row?.kind !== 'active' || row.id === null) {
    throw new TslayerError('NOT_FOUND', `no writable snapshot is called ${name}`, { hint: 'see tslayer mounts' });
  }
  const driver = await context.driver();
  const isContainers = context.metadata.containers.bySnapshot(name).length > 0;
  const changes = driver.changes(row.id, row.parent === null ? [] : context.layers.stack(row.parent));
  yield* isContainers ? withoutMountpoints(changes) : changes;
}
