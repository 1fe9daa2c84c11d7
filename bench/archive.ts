/**
 * What each stage of unpacking a layer costs, beside the programs that do the same, as ratios of one run:
 *
 *     node bench/archive.ts [LAYER.tar.gz] [--rounds 3]
 *
 * Without a layer, one is made of this project's node_modules. The stages take turns, so that a busy minute hits all.
 * CPU is this process's and its children's; MB are those of the uncompressed tar.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { extractionPlan } from '../src/archive/extract/plan.ts';
import { type Engine, openInflater } from '../src/archive/inflate/inflater.ts';
import { isalWorks } from '../src/archive/inflate/isal.ts';
import { IndexWriter } from '../src/archive/layer-index/writer.ts';
import { Tee } from '../src/archive/pipeline/tee.ts';
import { Unpacker } from '../src/archive/pipeline/unpacker.ts';
import type { LayerSink, SinkPlan } from '../src/archive/sink.ts';
import { TarReader } from '../src/archive/tar-reader.ts';
import { summarize } from '../src/bench/statistics.ts';
import { textTable } from '../src/bench/table.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' } },
});
const project = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(process.env.TSLAYER_BENCH_DIR ?? '/tmp', 'tslayer-bench-archive-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const layer = positionals[0] ?? madeLayer();
const blob = readFileSync(layer);
const CHUNK = 256 * 1024;

function madeLayer(): string {
  const path = join(scratch, 'layer.tar.gz');
  execFileSync('sh', ['-ec', 'tar -cf - --sort=name --owner=0 --group=0 node_modules | gzip -6 > "$0"', path], {
    cwd: project,
  });
  return path;
}

function inflate(engine: Engine, onChunk: (chunk: Uint8Array) => void): void {
  const room = new Uint8Array(CHUNK);
  const flush = (length: number) => onChunk(room.subarray(0, length));
  const inflater = openInflater('gzip', { room: () => room, flush }, engine);
  for (let at = 0; at < blob.length; at += CHUNK) inflater.write(blob.subarray(at, at + CHUNK));
  inflater.end();
  inflater.close();
}

const chunks: Buffer[] = [];
inflate('handle', (chunk) => chunks.push(Buffer.from(chunk)));
const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);

const ignoring = (): LayerSink => ({
  whiteout() {},
  opaque() {},
  entry() {},
  data() {},
  finish: () => ({ bytes: 0, inodes: 0, warnings: [] }),
  close() {},
});

function parse(sink: LayerSink): TarReader {
  const reader = new TarReader(sink);
  for (const chunk of chunks) reader.write(chunk);
  reader.end();
  return reader;
}

function index(): void {
  const writer = new IndexWriter(join(scratch, 'index'));
  parse(new Tee(ignoring(), writer));
  writer.finish();
  writer.close();
}

function emptied(name: string): string {
  const directory = join(scratch, name);
  mkdirSync(directory);
  return directory;
}

async function unpack(unpacker: Unpacker, sink: SinkPlan): Promise<void> {
  const source = createReadStream(layer, { highWaterMark: 128 * 1024 });
  await unpacker.unpack({ source, size: statSync(layer).size, sink, indexPath: join(scratch, 'unpack-index') });
}

const unpacker = new Unpacker();
const nullSink = {
  module: new URL('../src/images/pull/null-sink.ts', import.meta.url).href,
  options: {},
  ownThread: true,
};
const stages: Record<string, () => unknown> = {
  'gzip -dc': () => execFileSync('sh', ['-c', 'gzip -dc "$0" > /dev/null', layer]),
  'inflate: zlib handle': () => inflate('handle', () => {}),
  ...(isalWorks() ? { 'inflate: ISA-L': () => inflate('isal', () => {}) } : {}),
  sha256: () => {
    const hash = createHash('sha256');
    for (const chunk of chunks) hash.update(chunk);
  },
  'parse the tar': () => parse(ignoring()),
  'parse and index it': index,
  'all of it, files aside': () => unpack(unpacker, nullSink),
  ...(process.getuid?.() === 0
    ? {
        'gzip -dc | tar -x': () =>
          execFileSync('sh', ['-c', 'gzip -dc "$0" | tar -xpf - -C "$1"', layer, emptied('tar')]),
        'all of it, files made': () =>
          unpack(unpacker, extractionPlan({ dir: emptied('made'), spelling: 'overlay', durable: false })),
      }
    : {}),
};

interface Sample {
  readonly seconds: number;
  readonly cpu: number;
}

/** CPU seconds of this process and its finished children: clock ticks are hundredths. */
function cpuSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) / 100, 0);
}

async function measure(stage: () => unknown): Promise<Sample> {
  const [cpu, started] = [cpuSeconds(), performance.now()];
  await stage();
  return { seconds: (performance.now() - started) / 1000, cpu: cpuSeconds() - cpu };
}

const samples = new Map<string, Sample[]>(Object.keys(stages).map((name) => [name, []]));
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, stage] of Object.entries(stages)) {
    samples.get(name)!.push(await measure(stage));
    for (const made of ['tar', 'made'])
      if (existsSync(join(scratch, made))) rmSync(join(scratch, made), { recursive: true });
  }
}
await unpacker[Symbol.asyncDispose]();

const gzip = summarize(samples.get('gzip -dc')!.map(({ seconds }) => seconds)).median;
const rows = [...samples].map(([name, taken]) => {
  const seconds = summarize(taken.map((sample) => sample.seconds)).median;
  const cpu = summarize(taken.map((sample) => sample.cpu)).median;
  const speed = (time: number) => (time < 0.01 ? '' : (size / time / 1e6).toFixed(0));
  return [name, seconds.toFixed(3), cpu.toFixed(2), speed(seconds), speed(cpu), (seconds / gzip).toFixed(2)];
});
const { entries } = parse(ignoring());
console.log(
  `${layer}: ${(blob.length / 1e6).toFixed(1)} MB, ${(size / 1e6).toFixed(1)} MB uncompressed, ${entries} entries\n`,
);
console.log(textTable(['stage', 's', 'CPU s', 'MB/s', 'MB/CPU s', '× gzip -dc'], rows));
