/**
 * Unpacked layers: each row's layer is there and is what was unpacked; writable snapshots have their directories. What
 * the driver made of whole stacks is as it was written.
 */
import type { StorageDriver } from '../../../drivers/driver.ts';
import { throwIfAborted } from '../../errors.ts';
import type { LayerRow } from '../../metadata/layers.ts';
import type { StoreContext } from '../context.ts';
import type { CheckOptions, Finding } from './finding.ts';
import { layerFiles } from './layer-content.ts';
import { restoreLayer } from './restore-layer.ts';

export async function* checkLayers(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  if (context.driverName === undefined) return;
  const { metadata } = context;
  const driver = await context.driver();
  const present = new Set<string>();
  for await (const id of driver.list()) present.add(id);
  for (const row of metadata.layers.list()) {
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

/** What is damaged goes, and is made again when its stack is next mounted. */
export async function* checkCaches(context: StoreContext, options: CheckOptions): AsyncIterable<Finding> {
  if (context.driverName === undefined || !options.deep) return;
  const { caches } = await context.driver();
  for await (const { name, stack } of caches?.list() ?? []) {
    throwIfAborted(options.signal);
    const message = await caches?.verify(name);
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
  const { bytes, inodes } = await driver.usage(row.id);
  if (inodes !== row.inodes) return `it has ${inodes} inodes instead of ${row.inodes}`;
  // Blocks may be allocated otherwise later; a layer that lost half of them was cut.
  if (bytes < row.bytes / 2) return `it has ${bytes} bytes instead of ${row.bytes}`;
  if (!options.deep || !driver.verify) return undefined;
  const { diffId, tarSize } = row;
  return await driver.verify(row.id, { diffId, tarSize, files: layerFiles(context, row) });
}

async function dropSnapshot({ metadata, snapshots }: StoreContext, key: string): Promise<string> {
  // Throws IN_USE when a mount or container still names it.
  await snapshots.remove(key);
  return metadata.snapshots.get(key) === undefined ? 'dropped' : 'left';
}
