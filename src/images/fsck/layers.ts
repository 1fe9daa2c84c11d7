/**
 * Unpacked layers: each row's layer is there and is what was unpacked; writable snapshots have their directories. What
 * the driver made of whole stacks is as it was written.
 */
import type { ExpectedNode, StorageDriver } from '../../../drivers/driver.ts';
import { asTslayerError, isTslayerError, throwIfAborted } from '../../errors.ts';
import type { LayerRow } from '../../metadata/layers.ts';
import type { StoreContext } from '../context.ts';
import { expectedTree, stackOf } from './expected-tree.ts';
import type { CheckOptions, Finding } from './finding.ts';
import { restoreLayer } from './restore-layer.ts';

export async function* checkLayers(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  if (context.driverName === undefined) return;
  const { metadata } = context;
  const driver = await context.driver();
  const present = new Set<string>();
  for await (const id of driver.list()) present.add(id);
  for (const row of lowestFirst(context, driver)) {
    throwIfAborted(options.signal);
    const message = present.has(row.id) ? await damageOf(context, driver, row, options) : 'the layer is missing';
    if (message === undefined || metadata.layers.get(row.key)?.id !== row.id) continue;
    yield { kind: 'layer', subject: row.key, message, repair: () => restoreLayer(context, row, options) };
  }
  for (const row of metadata.snapshots.writable()) {
    if (row.id === null || present.has(row.id)) continue;
    yield {
      kind: 'snapshot',
      subject: row.key,
      message: 'its directory is missing',
      repair: () => dropSnapshot(context, row.key),
    };
  }
}

/** A layer that holds those below is made again of them: they have to be sound by then. */
function lowestFirst(context: StoreContext, driver: StorageDriver): LayerRow[] {
  const rows = context.metadata.layers.list();
  if (driver.stacking === 'independent') return rows;
  const depths = new Map(rows.map(({ key }) => [key, stackOf(context, key).length]));
  return rows.sort((a, b) => (depths.get(a.key) ?? 0) - (depths.get(b.key) ?? 0));
}

/** What is damaged goes, and is made again when its stack is next mounted. */
export async function* checkCaches(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  if (context.driverName === undefined || !options.deep) return;
  const { caches } = await context.driver();
  for await (const { name, stack } of caches?.list() ?? []) {
    throwIfAborted(options.signal);
    const message = await withoutFailing(async () => caches?.verify(name));
    // One that does not even tell its layers is a leftover.
    if (message === undefined || stack.length === 0) continue;
    const repair = async (): Promise<string> => {
      await caches?.remove(name);
      return 'removed';
    };
    yield { kind: 'cache', subject: `layers/${name}`, message, repair };
  }
}

async function damageOf(
  context: StoreContext,
  driver: StorageDriver,
  row: LayerRow,
  options: CheckOptions,
): Promise<string | undefined> {
  return withoutFailing(
    async () =>
      (options.deep ? await contentDamage(context, driver, row, options) : undefined) ?? (await cut(driver, row)),
  );
}

/** A disk that fails, a layer that nothing tells of any more: that is what there is to say. */
async function withoutFailing(check: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await check();
  } catch (error) {
    if (isTslayerError(error, 'ABORTED')) throw error;
    return `it cannot be checked: ${asTslayerError(error).message}`;
  }
}

async function contentDamage(
  context: StoreContext,
  driver: StorageDriver,
  row: LayerRow,
  options: CheckOptions,
): Promise<string | undefined> {
  const { diffId, tarSize } = row;
  const tree = (): Promise<ExpectedNode> => expectedTree(context, driver.stacking, row, options);
  return driver.verify?.(row.id, { diffId, tarSize, tree });
}

async function cut(driver: StorageDriver, row: LayerRow): Promise<string | undefined> {
  const { bytes, inodes } = await driver.usage(row.id);
  if (inodes !== row.inodes) return `it has ${inodes} inodes instead of ${row.inodes}`;
  // Blocks may be allocated otherwise later; a layer that lost half of them was cut.
  return bytes < row.bytes / 2 ? `it has ${bytes} bytes instead of ${row.bytes}` : undefined;
}

async function dropSnapshot({ metadata, snapshots }: StoreContext, key: string): Promise<string> {
  // Throws IN_USE when a mount or container still names it.
  await snapshots.remove(key);
  return metadata.snapshots.get(key) === undefined ? 'dropped' : 'left';
}
