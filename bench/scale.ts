/**
 * How what looks at a whole store grows with it: stores of images that were never downloaded (rows and empty files,
 * three layers of their own each over a shared base), and commands on them from the shell.
 *
 *     node bench/scale.ts [--images 100,1000,10000] [--rounds 5] [--keep]
 *
 * The image that is pulled again is a real one (bench/images/build.ts).
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { publishNames } from '../src/images/layout-index.ts';
import { fillStore } from '../test/support/large-store.ts';
import { openTestStore } from '../test/support/test-store.ts';
import { Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { ScratchDisk } from './lib/scratch-disk.ts';
import { TSLAYER } from './lib/tslayer-command.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '100,1000,10000' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    rounds: { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
  },
});

const LAYERS_EACH = 4;
const PULLED = 'alpine-3.20';
using registry = await startRegistry(values.layout, [PULLED]);
const PULL = ['pull', '--quiet', `${registry.address}/${PULLED}:latest`];
/** The first one opens nothing: what starting costs. */
const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'start-up': ['--version'],
  images: ['images', '--json'],
  df: ['df', '--json'],
  'gc --dry-run': ['gc', '--dry-run', '--json'],
  'pull of what is there': PULL,
};

interface Measured {
  readonly command: string;
  readonly images: number;
  readonly seconds: Summary;
  readonly cpuSeconds: Summary;
}

async function measure(images: number): Promise<Measured[]> {
  using disk = new ScratchDisk();
  await using meter = new Meter();
  const root = join(disk.path, 'store');
  {
    await using store = await openTestStore({ root });
    fillStore(store, { images, layersEach: LAYERS_EACH, files: true });
    await publishNames(store);
  }
  await meter.run({ argv: [TSLAYER, '--root', root, ...PULL] });
  const measured: Measured[] = [];
  for (const [command, args] of Object.entries(COMMANDS)) {
    const argv = [TSLAYER, '--root', root, ...args];
    const runs = [];
    for (let round = 0; round < Number(values.rounds); round++) runs.push(await meter.run({ argv }));
    measured.push({
      command,
      images,
      seconds: summarize(runs.map((run) => run.seconds)),
      cpuSeconds: summarize(runs.map((run) => run.cpuSeconds)),
    });
  }
  return measured;
}

const results: Measured[] = [];
for (const images of values.images.split(',').map(Number)) results.push(...(await measure(images)));

const milliseconds = (seconds: number): number => Math.round(seconds * 1000);
publish(
  {
    name: 'scale',
    title: 'Commands on stores of many images',
    unit: 'ms',
    notes: ['Median of the rounds, line: least to most. From the shell, process start included.'],
    groups: Object.keys(COMMANDS).map((command) => ({
      title: command,
      bars: results
        .filter((result) => result.command === command)
        .map(({ images, seconds }) => ({
          label: `${images} images`,
          value: milliseconds(seconds.median),
          min: milliseconds(seconds.min),
          max: milliseconds(seconds.max),
          highlight: true,
        })),
    })),
    data: results,
    table: textTable(
      ['command', 'images', 'ms', 'range', 'CPU ms'],
      results.map(({ command, images, seconds, cpuSeconds }) => [
        command,
        String(images),
        String(milliseconds(seconds.median)),
        `${milliseconds(seconds.min)}–${milliseconds(seconds.max)}`,
        String(milliseconds(cpuSeconds.median)),
      ]),
    ),
  },
  values.keep,
);
