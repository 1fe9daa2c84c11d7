/**
 * Small operations on an image that is there: another pull, a mount, its removal. Each as a command from the shell,
 * and for tslayer also by itself in a process that runs:
 *
 *     node bench/mount.ts [--images alpine-3.20,many-layers] [--tools erofs,podman,…] [--rounds 10] [--keep]
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { driver as erofs } from '../drivers/erofs/index.ts';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { performMounts } from '../src/mounts/perform.ts';
import { umount } from '../src/sys/mount-api.ts';
import { barOf } from './lib/bar-of.ts';
import { type Command, Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { ScratchDisk } from './lib/scratch-disk.ts';
import { SUBJECTS, type Subject } from './lib/subjects.ts';
import { unpackImage } from './lib/unpacked.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: 'alpine-3.20,many-layers' },
    tools: { type: 'string', default: 'erofs,overlayfs,podman,containerd,docker' },
    rounds: { type: 'string', default: '10' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);

interface Measured {
  readonly image: string;
  readonly operation: string;
  readonly tool: string;
  readonly milliseconds: Summary;
}

const results: Measured[] = [];

function note(image: string, operation: string, tool: string, samples: readonly number[]): void {
  results.push({ image, operation, tool, milliseconds: summarize(samples) });
}

async function repeat(meter: Meter, command: Command): Promise<number[]> {
  const samples: number[] = [];
  for (let i = 0; i < rounds; i++) samples.push((await meter.run(command)).seconds * 1000);
  return samples;
}

async function byCommand(subject: Subject, address: string, image: string): Promise<void> {
  using disk = new ScratchDisk();
  await using meter = new Meter();
  const running = await subject.start(disk.path, meter);
  await meter.run(running.pull(address, image));
  note(image, 'pull, all present', subject.name, await repeat(meter, running.pull(address, image)));
  if (running.mount) note(image, 'mount', subject.name, await repeat(meter, running.mount(address, image)));
}

/** Removal needs an image that nothing uses, so it is pulled for each round. */
async function removal(subject: Subject, address: string, image: string): Promise<void> {
  using disk = new ScratchDisk();
  await using meter = new Meter();
  const running = await subject.start(disk.path, meter);
  if (!running.remove) return;
  const samples: number[] = [];
  for (let i = 0; i < Math.min(3, rounds); i++) {
    await meter.run(running.pull(address, image));
    samples.push((await meter.run(running.remove(address, image))).seconds * 1000);
  }
  note(image, 'remove', subject.name, samples);
}

async function inProcess(image: string): Promise<void> {
  using disk = new ScratchDisk();
  const { driver, stack } = await unpackImage(erofs, join(disk.path, 'layers'), values.layout, image);
  const target = join(disk.path, 'mounted');
  mkdirSync(target);
  const [mounting, unmounting]: [number[], number[]] = [[], []];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await driver.prepare(`s${i}`, stack);
    performMounts(await driver.mounts(`s${i}`, stack, {}), target, { scratch: disk.path });
    const between = performance.now();
    umount(target);
    mounting.push(between - started);
    unmounting.push(performance.now() - between);
  }
  note(image, 'snapshot and mount, in process', 'tslayer erofs', mounting);
  note(image, 'unmount, in process', 'tslayer erofs', unmounting);
}

const images = values.images.split(',');
{
  using registry = await startRegistry(values.layout, images);
  for (const image of images) {
    for (const name of values.tools.split(',')) {
      const subject = SUBJECTS[name];
      if (subject === undefined) throw new Error(`no such tool: ${name}`);
      const missing = subject.missing();
      if (missing !== undefined) {
        process.stderr.write(`left out: ${subject.name} (${missing})\n`);
        continue;
      }
      await byCommand(subject, registry.address, image);
      await removal(subject, registry.address, image);
    }
    await inProcess(image);
  }
}

const titles = [...new Set(results.map(({ image, operation }) => `${operation}: ${image}`))];
publish(
  {
    name: 'mount',
    title: 'Small operations',
    unit: 'ms',
    notes: ['Median of the rounds, line: least to most. As commands from the shell, but for those in process.'],
    groups: titles.map((title) => ({
      title,
      bars: results
        .filter(({ image, operation }) => `${operation}: ${image}` === title)
        .map(({ tool, milliseconds }) => barOf(tool, milliseconds)),
    })),
    data: results,
    table: textTable(
      ['image', 'operation', 'tool', 'ms', 'range'],
      results.map(({ image, operation, tool, milliseconds: { median, min, max } }) => [
        image,
        operation,
        tool,
        median.toFixed(1),
        `${min.toFixed(1)}–${max.toFixed(1)}`,
      ]),
    ),
  },
  values.keep,
);
