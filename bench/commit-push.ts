/**
 * A thousand changed files of 4 KiB: their commit, and the push of the layer that they make to the repository that
 * has the rest. Each tool writes the same files into a container (or mount) of the same pulled image.
 *
 *     node bench/commit-push.ts [--image alpine-3.20] [--tools erofs,overlayfs,podman,…] [--rounds 5] [--keep]
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Summary, summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';
import { barOf } from './lib/bar-of.ts';
import { COMMITTERS } from './lib/committers.ts';
import { Meter } from './lib/meter.ts';
import { startRegistry } from './lib/registry.ts';
import { publish } from './lib/report.ts';
import { ScratchDisk } from './lib/scratch-disk.ts';

const { values } = parseArgs({
  options: {
    image: { type: 'string', default: 'alpine-3.20' },
    tools: { type: 'string', default: Object.keys(COMMITTERS).join() },
    rounds: { type: 'string', default: '5' },
    files: { type: 'string', default: '1000' },
    layout: { type: 'string', default: '.tmp/bench-images' },
    keep: { type: 'boolean', default: false },
  },
});

interface Measured {
  readonly operation: 'commit' | 'push';
  readonly tool: string;
  readonly seconds: Summary;
  readonly cpuSeconds: Summary;
}

/** Half-compressible text, other in each round, so that no registry has the layer yet. */
function writeChanges(directory: string, round: number): void {
  for (let i = 0; i < Number(values.files); i++) {
    const parent = join(directory, 'data', String(i % 10));
    mkdirSync(parent, { recursive: true });
    let text = '';
    for (let seed = (i + 1) * 2654435761 + round * 97; text.length < 4096; seed = (seed * 48271 + 11) % 2147483647) {
      text += seed.toString(16);
    }
    writeFileSync(join(parent, `${i}.txt`), text.slice(0, 4096));
  }
}

async function measure(name: string, address: string): Promise<Measured[]> {
  const committer = COMMITTERS[name];
  if (!committer) throw new Error(`no such tool: ${name}`);
  const missing = committer.missing();
  if (missing !== undefined) {
    process.stderr.write(`left out: ${committer.name} (${missing})\n`);
    return [];
  }
  using disk = new ScratchDisk();
  await using meter = new Meter();
  const running = await committer.start(disk.path, meter);
  const samples = { commit: [] as number[], push: [] as number[], commitCpu: [] as number[], pushCpu: [] as number[] };
  const changes = mkdtempSync(join(tmpdir(), 'tslayer-changes-'));
  try {
    const image = `${address}/${values.image}`;
    await running.prepare(`${image}:latest`);
    for (let round = 0; round < Number(values.rounds); round++) {
      rmSync(changes, { recursive: true, force: true });
      writeChanges(changes, round + Object.keys(COMMITTERS).indexOf(name) * 1000);
      await running.change(changes, round);
      disk.sync();
      const target = `${image}:${name}-${round}`;
      const commit = await meter.run(running.commit(round, target));
      samples.commit.push(commit.seconds);
      samples.commitCpu.push(commit.cpuSeconds);
      if (!running.push) continue;
      const push = await meter.run(running.push(target));
      samples.push.push(push.seconds);
      samples.pushCpu.push(push.cpuSeconds);
    }
  } finally {
    rmSync(changes, { recursive: true, force: true });
    await running.end();
  }
  const result = (operation: 'commit' | 'push', seconds: number[], cpu: number[]): Measured[] =>
    seconds.length === 0
      ? []
      : [{ operation, tool: committer.name, seconds: summarize(seconds), cpuSeconds: summarize(cpu) }];
  return [...result('commit', samples.commit, samples.commitCpu), ...result('push', samples.push, samples.pushCpu)];
}

const results: Measured[] = [];
{
  using registry = await startRegistry(values.layout, [values.image]);
  for (const name of values.tools.split(',')) results.push(...(await measure(name, registry.address)));
}

const operations = ['commit', 'push'] as const;
const titles = { commit: `commit of ${values.files} files of 4 KiB`, push: 'push of the layer that they make' };
publish(
  {
    name: 'commit-push',
    title: `Commit and push, over ${values.image}`,
    unit: 's',
    notes: ['Median of the rounds, line: least to most. Commands from the shell, process start included.'],
    groups: operations.map((operation) => ({
      title: titles[operation],
      bars: results.filter((result) => result.operation === operation).map(({ tool, seconds }) => barOf(tool, seconds)),
    })),
    data: results,
    table: textTable(
      ['operation', 'tool', 's', 'range', 'CPU s'],
      operations.flatMap((operation) =>
        results
          .filter((result) => result.operation === operation)
          .map(({ tool, seconds: { median, min, max }, cpuSeconds }) => [
            operation,
            tool,
            median.toFixed(3),
            `${min.toFixed(3)}–${max.toFixed(3)}`,
            cpuSeconds.median.toFixed(2),
          ]),
      ),
    ),
  },
  values.keep,
);
