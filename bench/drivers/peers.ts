/**
 * The same steps by command, beside podman, buildah and containerd: a snapshot of an image with many layers, its
 * mount, what a thousand written files changed, its removal. Every command's own start is in it.
 *
 *     node bench/drivers/peers.ts [--layers 1,60,120] [--tools tslayer,podman,…] [--rounds 5] [--keep]
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { encodeLayer } from '../../drivers/conformance/encode.ts';
import { dir, file } from '../../drivers/conformance/items.ts';
import { collect } from '../../test/support/collect.ts';
import { Meter } from '../lib/meter.ts';
import { ScratchDisk } from '../lib/scratch-disk.ts';
import { PEERS, type Peer, type Steps } from './peer-commands.ts';
import { Results } from './results.ts';

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: '1,60,120' },
    tools: { type: 'string', default: Object.keys(PEERS).join() },
    rounds: { type: 'string', default: '5' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const FILES = 1000;
const results = new Results();

for (const count of values.layers.split(',').map(Number)) {
  for (const name of values.tools.split(',')) {
    const peer = PEERS[name];
    if (!peer) throw new Error(`no such tool: ${name}`);
    const missing = peer.missing();
    if (missing === undefined) await measure(peer, count);
    else process.stderr.write(`left out: ${name} (${missing})\n`);
  }
}

async function measure(peer: Peer, count: number): Promise<void> {
  using disk = new ScratchDisk();
  await using meter = new Meter();
  // A name that podman takes for an image's: lower case throughout.
  const layout = join(tmpdir(), `tslayer-bench-image-${process.pid}`);
  await writeImage(layout, count);
  using _layout = { [Symbol.dispose]: () => remove(layout) };
  const steps = await peer.start(disk.path, layout, meter);
  const samples: Record<string, number[]> = {};
  for (let round = 0; round < rounds; round++) await takeSteps(steps, meter, `s${round}`, samples);
  for (const [step, times] of Object.entries(samples)) results.note(`${step}, ${count} layers`, peer.name, times);
}

function remove(layout: string): void {
  for (const path of [layout, `${layout}.tar`]) rmSync(path, { recursive: true, force: true });
}

async function takeSteps(steps: Steps, meter: Meter, key: string, samples: Record<string, number[]>) {
  const take = async (step: string, command: readonly string[] | undefined): Promise<void> => {
    if (!command) return;
    const { seconds } = await meter.run({ argv: command, env: steps.env ?? {} });
    samples[step] = [...(samples[step] ?? []), seconds * 1000];
  };
  await take('snapshot and mount', steps.mount(key));
  const target = steps.target(key);
  mkdirSync(join(target, 'written'));
  for (let at = 0; at < FILES; at++) writeFileSync(join(target, 'written', `${at}`), Buffer.alloc(4096, 'w'));
  await take(`diff of ${FILES} files`, steps.diff?.(key));
  await take('unmount and remove', steps.remove(key));
}

/** An image layout with so many small layers. */
async function writeImage(layout: string, count: number): Promise<void> {
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer): { digest: string; size: number } => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    writeFileSync(join(blobs, hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  const diffIds: string[] = [];
  const layers: object[] = [];
  for (let at = 0; at < count; at++) {
    const items = [dir(''), dir('etc'), file(`etc/${at}`, `${at}`), file(`own-${at}`, 'x')];
    const tar = Buffer.concat(await collect(encodeLayer(items)));
    diffIds.push(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
    layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...put(gzipSync(tar)) });
  }
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const rootfs = { type: 'layers', diff_ids: diffIds };
  const config = put(json({ architecture, os: 'linux', config: { Cmd: ['/none'] }, rootfs }));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers,
  };
  const annotations = { 'org.opencontainers.image.ref.name': 'latest' };
  const entry = { mediaType, ...put(json(manifest)), annotations };
  writeFileSync(join(layout, 'index.json'), json({ schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(layout, 'oci-layout'), json({ imageLayoutVersion: '1.0.0' }));
  execFileSync('tar', ['-cf', `${layout}.tar`, '-C', layout, '.']);
}

const notes = ['Median of the rounds, line: least to most. Each step is one command from the shell.'];
results.publish('drivers-peers', 'Snapshots by command', notes, values.keep);
