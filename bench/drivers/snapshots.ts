/**
 * Snapshots by driver, inside a process that runs: making and removing one over a large image, copying up a large
 * file, finding a thousand and a hundred thousand changes; for vfs beside `cp -a` and `rm -rf`:
 *
 *     node bench/drivers/snapshots.ts [--drivers overlayfs,erofs,vfs] [--files 15000] [--changes 1000,100000]
 *       [--copy-up-mib 1024] [--system ext4|btrfs|xfs] [--rounds 5] [--keep]
 *
 * Drivers from outside go by their path: --system btrfs --drivers ./examples/btrfs-driver/index.ts
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadDriver } from '../../drivers/index.ts';
import { settleDisks } from '../lib/scratch-disk.ts';
import { Results } from './results.ts';
import { benchDisk, largeFile, timed, Workshop } from './workshop.ts';

const { values } = parseArgs({
  options: {
    drivers: { type: 'string', default: 'erofs,overlayfs,vfs' },
    files: { type: 'string', default: '15000' },
    changes: { type: 'string', default: '1000,100000' },
    'copy-up-mib': { type: 'string', default: '1024' },
    system: { type: 'string', default: 'ext4' },
    rounds: { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const results = new Results();

for (const name of values.drivers.split(',')) {
  using disk = benchDisk(values.system, 12 * 2 ** 30);
  await using shop = await Workshop.open(await loadDriver(name), disk.path);
  const { name: who } = shop.driver;
  await measureSnapshots(who, shop, disk.path);
  for (const count of values.changes.split(',')) await measureChanges(who, shop, Number(count));
  await measureCopyUp(who, shop, Number(values['copy-up-mib']));
}

async function measureSnapshots(name: string, shop: Workshop, directory: string): Promise<void> {
  const count = Number(values.files);
  const stack = await shop.layer(shop.files(count, 4096), []);
  const [prepare, remove, copy, rm]: [number[], number[], number[], number[]] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    const id = shop.newId();
    settleDisks();
    prepare.push(await timed(() => shop.driver.prepare(id, stack)));
    if (name === 'vfs') {
      const tree = join(directory, 'layers', id, 'tree');
      settleDisks();
      copy.push(await timed(() => execFileSync('cp', ['-a', tree, join(directory, 'copy')])));
      settleDisks();
      rm.push(await timed(() => execFileSync('rm', ['-rf', join(directory, 'copy')])));
    }
    settleDisks();
    remove.push(await timed(() => shop.driver.remove(id)));
  }
  results.note(`a snapshot over ${count} files`, `tslayer ${name}`, prepare);
  if (copy.length > 0) results.note(`a snapshot over ${count} files`, 'cp -a', copy);
  results.note(`removing it`, `tslayer ${name}`, remove);
  if (rm.length > 0) results.note(`removing it`, 'rm -rf', rm);
}

async function measureChanges(name: string, shop: Workshop, count: number): Promise<void> {
  const stack = await shop.layer(shop.files(1000, 100), []);
  const id = shop.newId();
  await shop.driver.prepare(id, stack);
  const target = shop.target();
  await shop.mount(id, stack, target);
  for (let at = 0; at < count; at++) {
    if (at % 100 === 0) mkdirSync(join(target, `new${at / 100}`));
    writeFileSync(join(target, `new${Math.floor(at / 100)}/${at}`), 'changed');
  }
  const samples: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++)
    samples.push(await timed(() => countChanges(shop, id, stack)));
  results.note(`changes: ${count} files`, `tslayer ${name}`, samples);
  shop.unmount(target);
  await shop.driver.remove(id);
}

async function countChanges(shop: Workshop, id: string, stack: readonly string[]): Promise<number> {
  let count = 0;
  for await (const _ of shop.driver.changes(id, stack)) count++;
  return count;
}

/** One byte is written to a large file: of a union the kernel copies it whole, vfs has done so before. */
async function measureCopyUp(name: string, shop: Workshop, mebibytes: number): Promise<void> {
  const size = mebibytes * 2 ** 20;
  const stack = await shop.layer([largeFile(size)], []);
  const samples: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++) {
    const id = shop.newId();
    const target = shop.target();
    settleDisks();
    const preparing = await timed(() => shop.driver.prepare(id, stack));
    await shop.mount(id, stack, target);
    const writing = await timed(() => appendFileSync(join(target, 'big'), 'x'));
    samples.push(preparing + writing);
    shop.unmount(target);
    await shop.driver.remove(id);
  }
  results.note(`snapshot and first write to a file of ${mebibytes} MiB`, `tslayer ${name}`, samples);
}

const notes = [
  'Median of the rounds, line: least to most. In a process that runs; everything dirty written before.',
  `On ${values.system}, in a file.`,
];
results.publish('drivers-snapshots', 'Snapshots by driver', notes, values.keep);
