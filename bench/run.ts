/**
 * `run --rm IMAGE /bin/true` from the shell, the image pulled already: tslayer beside podman, docker, containerd and
 * runc alone, and what a start of Node costs by itself, once in every `run` of ours. Then many at once, and the same by
 * the library, without a start of Node:
 *
 *     node bench/run.ts [--image alpine-3.20] [--tools erofs,overlayfs,podman,…] [--rounds 20] [--at-once 20] [--keep]
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
import { barOf } from './lib/bar-of.ts';
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
    'at-once': { type: 'string', default: '20' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

/** What is measured, ready to be run again and again. */
interface Runner {
  readonly name: string;
  readonly meter: Meter;
  readonly command: () => Command;
  /** The same by a library. */
  readonly inside: readonly string[] | undefined;
  readonly milliseconds: number[];
  readonly cpuMilliseconds: number[];
  /** From the first start to the last end of many. */
  readonly together: number[];
}

const runner = (name: string, meter: Meter, command: () => Command, inside?: readonly string[]): Runner => ({
  name,
  meter,
  command,
  inside,
  milliseconds: [],
  cpuMilliseconds: [],
  together: [],
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
  const { run } = running;
  if (!run) continue;
  await meter.run(running.pull(registry.address, values.image));
  const inside = running.runInside?.(registry.address, values.image, Number(values.rounds));
  runners.push(runner(subject.name, meter, () => run(registry.address, values.image), inside));
}
{
  const meter = resources.use(new Meter());
  const disk = resources.use(new ScratchDisk());
  if (programPath('runc') && programPath('umoci')) {
    const bundle = bundleFor('runc', disk.path);
    runners.push(runner('runc alone, from a bundle', meter, () => bundle));
  } else process.stderr.write('left out: runc alone (not installed: runc or umoci)\n');
  runners.push(runner('node -e 0', meter, () => ({ argv: [process.execPath, '-e', '0'] })));
}

for (let round = -1; round < Number(values.rounds); round++) {
  for (const { meter, command, milliseconds, cpuMilliseconds } of runners) {
    const cost = await meter.run(command());
    // The first round warms caches, and is not counted.
    if (round < 0) continue;
    milliseconds.push(cost.seconds * 1000);
    cpuMilliseconds.push(cost.cpuSeconds * 1000);
  }
}

const TOGETHER_ROUNDS = 3;
const many = Number(values['at-once']);
for (let round = 0; round < TOGETHER_ROUNDS; round++) {
  // A bundle holds one container at a time.
  for (const { meter, command, together } of runners.filter(({ name }) => !name.startsWith('runc'))) {
    const before = performance.now();
    await Promise.all(Array.from({ length: many }, () => meter.run(command())));
    together.push(performance.now() - before);
  }
}

interface Measured {
  readonly tool: string;
  readonly milliseconds: Summary;
  readonly cpuMilliseconds: Summary;
  /** Of podman's median. */
  readonly ratio?: number;
  /** All of `--at-once`. */
  readonly together?: Summary;
  /** By the library. */
  readonly inside?: Summary;
}

const podman = runners.find(({ name }) => name.startsWith('podman'));
const results = runners.map((each): Measured => {
  const milliseconds = summarize(each.milliseconds);
  const ratio = podman && milliseconds.median / summarize(podman.milliseconds).median;
  return {
    tool: each.name,
    milliseconds,
    cpuMilliseconds: summarize(each.cpuMilliseconds),
    ...(ratio !== undefined && { ratio }),
    ...(each.together.length > 0 && { together: summarize(each.together) }),
    ...(each.inside && { inside: summarize(runInside(each.inside)) }),
  };
});

function runInside([program = '', ...args]: readonly string[]): number[] {
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as number[];
}

publish(
  {
    name: 'run',
    title: `run --rm ${values.image} /bin/true`,
    unit: 'ms',
    notes: ['Median of the rounds, line: least to most. From the shell, without network set-up; tools take turns.'],
    groups: [
      {
        title: 'start to end',
        bars: results.map(({ tool, milliseconds }) => barOf(tool, milliseconds)),
      },
    ],
    data: results,
    table: textTable(
      ['tool', 'ms', 'range', 'CPU ms', 'of podman', `${many} at once, ms`, 'by the library, ms'],
      results.map(({ tool, milliseconds: { median, min, max }, cpuMilliseconds, ratio, together, inside }) => [
        tool,
        median.toFixed(1),
        `${min.toFixed(1)}–${max.toFixed(1)}`,
        cpuMilliseconds.median.toFixed(1),
        ratio?.toFixed(2) ?? '',
        together?.median.toFixed(0) ?? '',
        inside?.median.toFixed(1) ?? '',
      ]),
    ),
  },
  values.keep,
);
