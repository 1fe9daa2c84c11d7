/**
 * Reads through a mount: EROFS with and without direct I/O against extracted layers, both under overlayfs, cold
 * (caches dropped), warm (the second time) and fresh (right after unpacking, nothing dropped):
 *
 *     node bench/read.ts [--image node-app] [--rounds 3] [--keep]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { DriverModule } from '../drivers/driver.ts';
import { driver as erofs } from '../drivers/erofs/index.ts';
import { driver as overlayfs } from '../drivers/overlayfs/index.ts';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { performMounts } from '../src/mounts/perform.ts';
import { umount } from '../src/sys/mount-api.ts';
import { publish } from './lib/report.ts';
import { dropCaches, ScratchDisk } from './lib/scratch-disk.ts';
import { unpackImage } from './lib/unpacked.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string', default: 'node-app' },
    rounds: { type: 'string', default: '3' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

interface Variant {
  readonly name: string;
  readonly module: DriverModule;
}

const merged: DriverModule = { ...erofs, open: (directory) => erofs.open(directory, { merged: true }) };

const direct: DriverModule = { ...erofs, open: (directory) => erofs.open(directory, { directio: true }) };

const VARIANTS: readonly Variant[] = [
  { name: 'tslayer erofs', module: erofs },
  { name: 'tslayer erofs, directio', module: direct },
  { name: 'tslayer erofs, merged', module: merged },
  { name: 'extracted, overlayfs', module: overlayfs },
];

const RANDOM = join(import.meta.dirname, 'lib/random-reads.ts');

/** Each measures one thing in a directory; seconds. */
const OPERATIONS: Readonly<Record<string, (path: string) => number>> = {
  'find, stat all': (path) => timed(() => execFileSync('find', [path, '-xdev', '-size', '-0'])),
  'read all': (path) =>
    timed(() => execFileSync('sh', ['-c', 'tar -C "$0" --one-file-system -cf - . | cat > /dev/null', path])),
  'random 4 KiB × 2000': (path) => Number(execFileSync(process.execPath, [RANDOM, path, '2000'], { encoding: 'utf8' })),
};

function timed(work: () => unknown): number {
  const started = performance.now();
  work();
  return (performance.now() - started) / 1000;
}

const samples = new Map<string, number[]>();

function note(variant: string, operation: string, state: string, seconds: number): void {
  const key = [operation, state, variant].join('\t');
  samples.set(key, [...(samples.get(key) ?? []), seconds]);
}

async function measure(variant: Variant): Promise<void> {
  using disk = new ScratchDisk();
  const { driver, stack } = await unpackImage(variant.module, join(disk.path, 'layers'), values.layout, values.image);
  const target = join(disk.path, 'mounted');
  mkdirSync(target);
  const mounts = await driver.mounts(undefined, stack, { readOnly: true });
  for (const [operation, run] of Object.entries(OPERATIONS)) {
    performMounts(mounts, target, { scratch: disk.path });
    if (operation === 'read all') note(variant.name, operation, 'fresh', run(target));
    umount(target);
    disk.sync();
    dropCaches();
    performMounts(mounts, target, { scratch: disk.path });
    note(variant.name, operation, 'cold', run(target));
    note(variant.name, operation, 'warm', run(target));
    umount(target);
  }
}

for (let round = 0; round < Number(values.rounds); round++) for (const variant of VARIANTS) await measure(variant);

interface Measured {
  readonly operation: string;
  readonly state: string;
  readonly variant: string;
  readonly seconds: Summary;
}

const results = [...samples].map(([key, seconds]): Measured => {
  const [operation = '', state = '', variant = ''] = key.split('\t');
  return { operation, state, variant, seconds: summarize(seconds) };
});
const titles = [...new Set(results.map(({ operation, state }) => `${operation}, ${state}`))];
publish(
  {
    name: 'read',
    title: `Reading ${values.image} through its mount`,
    unit: 's',
    notes: ['Median of the rounds. cold: caches dropped; warm: again; fresh: right after unpacking.'],
    groups: titles.map((title) => ({
      title,
      bars: results
        .filter(({ operation, state }) => `${operation}, ${state}` === title)
        .map(({ variant, seconds: { median, min, max } }) => ({
          label: variant,
          value: median,
          min,
          max,
          highlight: variant.startsWith('tslayer'),
        })),
    })),
    data: { image: values.image, results },
    table: textTable(
      ['operation', 'state', 'variant', 'seconds', 'range'],
      results.map(({ operation, state, variant, seconds: { median, min, max } }) => [
        operation,
        state,
        variant,
        median.toFixed(3),
        `${min.toFixed(3)}–${max.toFixed(3)}`,
      ]),
    ),
  },
  values.keep,
);
