/**
 * Cold pulls from a registry on loopback until the image is unpacked, of each tool in turn, every time on a fresh
 * disk:
 *
 *     node bench/pull.ts [--images python-3,node-app,…] [--tools erofs,podman,…] [--rounds 3] [--keep]
 *
 * Needs root, the images of bench/images/build.ts, docker-registry, skopeo, and the tools that are compared.
 */
import { parseArgs } from 'node:util';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { barOf } from './lib/bar-of.ts';
import { measureFloor } from './lib/floor.ts';
import { type Cost, Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { dropCaches, ScratchDisk, settleDisks } from './lib/scratch-disk.ts';
import { SUBJECTS, type Subject } from './lib/subjects.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: 'python-3,node-app,many-layers,big' },
    tools: { type: 'string', default: Object.keys(SUBJECTS).join(',') },
    rounds: { type: 'string', default: '3' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

interface Measured {
  readonly image: string;
  readonly tool: string;
  readonly seconds: Summary;
  readonly cpuSeconds: Summary;
  readonly peakMB: Summary;
  readonly writtenMB: Summary;
}

interface Round extends Cost {
  readonly written: number;
}

async function pullOnce(subject: Subject, address: string, image: string): Promise<Round> {
  using disk = new ScratchDisk();
  await using meter = new Meter();
  const running = await subject.start(disk.path, meter);
  // Whatever the one before left to be written must not be written now.
  settleDisks();
  const before = disk.bytesWritten();
  const cost = await meter.run(running.pull(address, image));
  return { ...cost, written: disk.bytesWritten() - before };
}

function chosen(): [string, Subject][] {
  return values.tools.split(',').flatMap((name): [string, Subject][] => {
    const subject = SUBJECTS[name];
    if (subject === undefined) throw new Error(`no such tool: ${name}`);
    const missing = subject.missing();
    if (missing !== undefined) process.stderr.write(`left out: ${subject.name} (${missing})\n`);
    return missing === undefined ? [[name, subject]] : [];
  });
}

const images = values.images.split(',');
const tools = chosen();
using registry = await startRegistry(values.layout, images);
const results: Measured[] = [];
for (const image of images) {
  const rounds = new Map<string, Round[]>(tools.map(([name]) => [name, []]));
  const floors: Round[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // The registry reads from memory, for the first one as for the last.
    await measureFloor(registry.address, image);
    for (const [name, subject] of tools) {
      const measured = await pullOnce(subject, registry.address, image);
      rounds.get(name)?.push(measured);
      process.stderr.write(`${image} ${subject.name}: ${measured.seconds.toFixed(2)} s\n`);
    }
    floors.push({ ...(await measureFloor(registry.address, image)), written: 0 });
  }
  for (const [name, subject] of tools) results.push(summary(image, subject.name, rounds.get(name) ?? []));
  results.push(summary(image, 'floor: fetch and inflate', floors));
  dropCaches();
}

function summary(image: string, tool: string, rounds: readonly Round[]): Measured {
  return {
    image,
    tool,
    seconds: summarize(rounds.map(({ seconds }) => seconds)),
    cpuSeconds: summarize(rounds.map(({ cpuSeconds }) => cpuSeconds)),
    peakMB: summarize(rounds.map(({ peakBytes }) => peakBytes / 1e6)),
    writtenMB: summarize(rounds.map(({ written }) => written / 1e6)),
  };
}

const rows = results.map(({ image, tool, seconds, cpuSeconds, peakMB, writtenMB }) => [
  image,
  tool,
  seconds.median.toFixed(2),
  `${seconds.min.toFixed(2)}–${seconds.max.toFixed(2)}`,
  cpuSeconds.median.toFixed(2),
  peakMB.median.toFixed(0),
  writtenMB.median.toFixed(0),
]);
publish(
  {
    name: 'pull',
    title: 'Cold pull until unpacked',
    unit: 's',
    notes: ['Median of the rounds, line: least to most. Registry on loopback, a fresh ext4 each time.'],
    groups: images.map((image) => ({
      title: image,
      bars: results.filter((result) => result.image === image).map(({ tool, seconds }) => barOf(tool, seconds)),
    })),
    data: results,
    table: textTable(['image', 'tool', 'seconds', 'range', 'CPU s', 'peak MB', 'written MB'], rows),
  },
  values.keep,
);
