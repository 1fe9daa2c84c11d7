/**
 * `run --rm IMAGE /bin/true` from the shell, the image pulled already: tslayer beside podman, docker, containerd and
 * runc alone, and what a start of Node costs by itself, twice in every `run` of ours:
 *
 *     node bench/run.ts [--image alpine-3.20] [--tools erofs,overlayfs,podman,…] [--rounds 20] [--keep]
 *
 * The tools take turns, so that a busy minute hits all of them.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { programPath } from '../test/support/requires.ts';
import { type Command, Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { ScratchDisk } from './lib/scratch-disk.ts';
import { SUBJECTS } from './lib/subjects.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string', default: 'alpine-3.20' },
    tools: { type: 'string', default: 'erofs,overlayfs,podman,docker,containerd' },
    rounds: { type: 'string', default: '20' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

/** What is measured, ready to be run again and again. */
interface Runner {
  readonly name: string;
  readonly meter: Meter;
  readonly command: Command;
  readonly seconds: number[];
  readonly cpuSeconds: number[];
}

const runner = (name: string, meter: Meter, command: Command): Runner => ({
  name,
  meter,
  command,
  seconds: [],
  cpuSeconds: [],
});

/** The same bundle each time: no image, no snapshot, nothing but the runtime. */
function bundleFor(runtime: string, directory: string): Command {
  const bundle = join(directory, 'bundle');
  execFileSync('umoci', ['unpack', '--image', `${values.layout}:${values.image}`, bundle], { stdio: 'pipe' });
  const path = join(bundle, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8'));
  Object.assign(config.process, { terminal: false, args: ['/bin/true'], rlimits: [] });
  writeFileSync(path, JSON.stringify(config));
  return { argv: [runtime, '--root', join(directory, 'state'), 'run', '--bundle', bundle, 'bench'] };
}

await using resources = new AsyncDisposableStack();
const registry = resources.use(await startRegistry(values.layout, [values.image]));
const runners: Runner[] = [];

for (const name of values.tools.split(',')) {
  const subject = SUBJECTS[name];
  if (subject === undefined) throw new Error(`no such tool: ${name}`);
  const missing = subject.missing();
  if (missing !== undefined) {
    process.stderr.write(`left out: ${subject.name} (${missing})\n`);
    continue;
  }
  const disk = resources.use(new ScratchDisk());
  const meter = resources.use(new Meter());
  const running = await subject.start(disk.path, meter);
  if (!running.run) continue;
  await meter.run(running.pull(registry.address, values.image));
  runners.push(runner(subject.name, meter, running.run(registry.address, values.image)));
}
{
  const meter = resources.use(new Meter());
  const disk = resources.use(new ScratchDisk());
  if (programPath('runc') && programPath('umoci')) {
    runners.push(runner('runc alone, from a bundle', meter, bundleFor('runc', disk.path)));
  } else process.stderr.write('left out: runc alone (not installed: runc or umoci)\n');
  runners.push(runner('node -e 0', meter, { argv: [process.execPath, '-e', '0'] }));
}

for (let round = -1; round < Number(values.rounds); round++) {
  for (const { meter, command, seconds, cpuSeconds } of runners) {
    const cost = await meter.run(command);
    // The first round warms caches, and is not counted.
    if (round < 0) continue;
    seconds.push(cost.seconds * 1000);
    cpuSeconds.push(cost.cpuSeconds * 1000);
  }
}

interface Measured {
  readonly tool: string;
  readonly milliseconds: Summary;
  readonly cpuMilliseconds: Summary;
  /** Of podman's median. */
  readonly ratio?: number;
}

const podman = runners.find(({ name }) => name.startsWith('podman'));
const results = runners.map(({ name, seconds, cpuSeconds }): Measured => {
  const milliseconds = summarize(seconds);
  const ratio = podman && milliseconds.median / summarize(podman.seconds).median;
  return { tool: name, milliseconds, cpuMilliseconds: summarize(cpuSeconds), ...(ratio !== undefined && { ratio }) };
});

publish(
  {
    name: 'run',
    title: `run --rm ${values.image} /bin/true`,
    unit: 'ms',
    notes: ['Median of the rounds, line: least to most. From the shell, without network set-up; tools take turns.'],
    groups: [
      {
        title: 'start to end',
        bars: results.map(({ tool, milliseconds: { median, min, max } }) => ({
          label: tool,
          value: median,
          min,
          max,
          highlight: tool.startsWith('tslayer'),
        })),
      },
    ],
    data: results,
    table: textTable(
      ['tool', 'ms', 'range', 'CPU ms', 'of podman'],
      results.map(({ tool, milliseconds: { median, min, max }, cpuMilliseconds, ratio }) => [
        tool,
        median.toFixed(1),
        `${min.toFixed(1)}–${max.toFixed(1)}`,
        cpuMilliseconds.median.toFixed(1),
        ratio === undefined ? '' : ratio.toFixed(2),
      ]),
    ),
  },
  values.keep,
);
