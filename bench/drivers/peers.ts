/**
 * The same steps by command, beside podman, buildah and containerd: a snapshot of an image with many layers, its
 * mount, what written files changed, its removal, and the first write to a large file. Every command's own start is in
 * it.
 *
 *     node bench/drivers/peers.ts [--layers 1,60,120] [--tools erofs,podman,…] [--changes 1000,100000]
 *       [--copy-up-mib 1024] [--rounds 5] [--keep]
 */
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Meter } from '../lib/meter.ts';
import { ScratchDisk, settleDisks } from '../lib/scratch-disk.ts';
import { PEERS, type Peer, type Steps } from './peer-commands.ts';
import { writeImage } from './peer-image.ts';
import { Results } from './results.ts';
import { timed } from './workshop.ts';

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: '1,60,120' },
    changes: { type: 'string', default: '1000,100000' },
    'copy-up-mib': { type: 'string', default: '1024' },
    tools: { type: 'string', default: Object.keys(PEERS).join() },
    rounds: { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const results = new Results();
const mebibytes = Number(values['copy-up-mib']);

for (const name of values.tools.split(',')) {
  const peer = PEERS[name];
  if (!peer) throw new Error(`no such tool: ${name}`);
  const missing = peer.missing();
  if (missing !== undefined) {
    process.stderr.write(`left out: ${name} (${missing})\n`);
    continue;
  }
  for (const count of values.layers.split(',').map(Number)) await measureLayers(peer, count);
  await measureWork(peer);
}

interface Bench {
  readonly steps: Steps;
  /** Milliseconds that a command takes. */
  take(command: readonly string[]): Promise<number>;
}

async function withImage(peer: Peer, count: number, large: number, use: (bench: Bench) => Promise<void>) {
  using disk = new ScratchDisk(8 * 2 ** 30);
  await using meter = new Meter();
  // A name that podman takes for an image's: lower case throughout.
  const layout = join(tmpdir(), `tslayer-bench-image-${process.pid}`);
  await writeImage(layout, count, large);
  using _layout = { [Symbol.dispose]: () => remove(layout) };
  const steps = await peer.start(disk.path, layout, meter);
  const take = async (argv: readonly string[]): Promise<number> => {
    const { seconds } = await meter.run({ argv, env: steps.env ?? {} });
    return seconds * 1000;
  };
  await use({ steps, take });
}

function remove(layout: string): void {
  for (const path of [layout, `${layout}.tar`]) rmSync(path, { recursive: true, force: true });
}

async function measureLayers(peer: Peer, count: number): Promise<void> {
  const [mount, unmount]: [number[], number[]] = [[], []];
  await withImage(peer, count, 0, async ({ steps, take }) => {
    for (let round = 0; round < rounds; round++) {
      mount.push(await take(steps.mount(`s${round}`)));
      unmount.push(await take(steps.remove(`s${round}`)));
    }
  });
  results.note(`snapshot and mount, ${count} layers`, peer.name, mount);
  results.note(`unmount and remove, ${count} layers`, peer.name, unmount);
}

/** What is written to a snapshot of one layer. */
async function measureWork(peer: Peer): Promise<void> {
  await withImage(peer, 1, mebibytes * 2 ** 20, async (bench) => {
    for (const count of values.changes.split(',').map(Number)) {
      const samples = await diffs(bench, count);
      if (samples.length > 0) results.note(`diff of ${count} files`, peer.name, samples);
    }
    results.note(`first write to a file of ${mebibytes} MiB`, peer.name, await firstWrites(bench));
  });
}

async function diffs({ steps, take }: Bench, count: number): Promise<number[]> {
  const key = `d${count}`;
  const command = steps.diff?.(key);
  if (command === undefined) return [];
  await take(steps.mount(key));
  const target = steps.target(key);
  for (let at = 0; at < count; at++) {
    const directory = join(target, `written${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(directory);
    writeFileSync(join(directory, `${at}`), Buffer.alloc(100, 'w'));
  }
  const samples: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++) samples.push(await take(command));
  await take(steps.remove(key));
  return samples;
}

async function firstWrites({ steps, take }: Bench): Promise<number[]> {
  const samples: number[] = [];
  for (let round = 0; round < Math.min(3, rounds); round++) {
    const key = `w${round}`;
    await take(steps.mount(key));
    const path = join(steps.target(key), 'big');
    settleDisks();
    samples.push(await timed(() => appendFileSync(path, 'x')));
    await take(steps.remove(key));
  }
  return samples;
}

const notes = ['Median of the rounds, line: least to most. Each step is one command from the shell.'];
results.publish('drivers-peers', 'Snapshots by command', notes, values.keep);
