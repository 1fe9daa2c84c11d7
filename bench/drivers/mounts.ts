/**
 * Mounting and unmounting by the number of layers, inside a process that runs; and what sharing the mounts of image
 * files costs and saves:
 *
 *     node bench/drivers/mounts.ts [--drivers overlayfs,erofs,merged,vfs] [--layers 1,2,…]
 *       [--system ext4|btrfs|xfs] [--rounds 20] [--keep]
 *
 * `merged` is erofs with the stack as one image, which is made at the first mount.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DriverModule } from '../../drivers/driver.ts';
import { driver as erofs } from '../../drivers/erofs/index.ts';
import { loadDriver } from '../../drivers/index.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { unmount } from '../../src/mounts/unmount.ts';
import { Results } from './results.ts';
import { benchDisk, timed, Workshop } from './workshop.ts';

const { values } = parseArgs({
  options: {
    drivers: { type: 'string', default: 'erofs,merged,overlayfs,vfs' },
    layers: { type: 'string', default: '1,2,10,60,128,256,500' },
    system: { type: 'string', default: 'ext4' },
    rounds: { type: 'string', default: '20' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const results = new Results();
const MERGED: DriverModule = { ...erofs, open: (directory) => erofs.open(directory, { merged: true }) };

for (const name of values.drivers.split(',')) {
  const module = name === 'merged' ? MERGED : await loadDriver(name);
  for (const count of values.layers.split(',').map(Number)) {
    // A sequential driver copies everything for each layer, and mounts the last copy.
    if (module.name === 'vfs' && count > 10) continue;
    using disk = benchDisk(values.system, 4 * 2 ** 30);
    await using shop = await Workshop.open(module, disk.path);
    await measure(name === 'merged' ? name : module.name, count, shop, disk.path);
  }
}

async function measure(name: string, count: number, shop: Workshop, directory: string): Promise<void> {
  const stack = await shop.layers(count);
  const samples = { mount: [] as number[], unmount: [] as number[], shared: [] as number[] };
  const target = shop.target();
  const stages = join(directory, 'stages');
  for (let round = 0; round < rounds; round++) {
    const id = shop.newId();
    await shop.driver.prepare(id, stack);
    samples.mount.push(await timed(() => shop.mount(id, stack, target)));
    samples.unmount.push(await timed(() => shop.unmount(target)));
    const mounts = await shop.driver.mounts(id, stack, {});
    if (mounts.some(({ stage }) => stage !== undefined)) {
      performMounts(mounts, target, { stages });
      const second = shop.target();
      const other = shop.newId();
      await shop.driver.prepare(other, stack);
      const more = await shop.driver.mounts(other, stack, {});
      samples.shared.push(await timed(() => performMounts(more, second, { stages })));
      for (const path of [second, target]) unmount(path, { stages });
    }
    await shop.driver.remove(id);
  }
  if (name === 'merged') results.note(`first mount, ${count} layers`, 'tslayer merged', samples.mount.splice(0, 1));
  results.note(`mount, ${count} layers`, `tslayer ${name}`, samples.mount);
  results.note(`unmount, ${count} layers`, `tslayer ${name}`, samples.unmount);
  if (samples.shared.length > 0) {
    results.note(`mount, ${count} layers`, `tslayer ${name}, stages there already`, samples.shared);
  }
}

const notes = ['Median of the rounds, line: least to most. In a process that runs; the snapshot is there.'];
results.publish('drivers-mounts', 'Mounting by number of layers', notes, values.keep);
