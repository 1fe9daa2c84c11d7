/**
 * Whole copies, as vfs makes them for each snapshot, beside `cp -a`: of many small files and of few large ones, on
 * ext4, and on btrfs and XFS, where both share the blocks:
 *
 *     node bench/drivers/copies.ts [--systems ext4,btrfs,xfs] [--files 15000] [--large-mib 512] [--rounds 7] [--keep]
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { copyTree } from '../../drivers/tree/copy.ts';
import { removeTree } from '../../drivers/tree/remove.ts';
import { inSlices } from '../../drivers/tree/slices.ts';
import { cannotLoop, type LoopType, loopFs } from '../../test/support/loop-fs.ts';
import { programPath } from '../../test/support/requires.ts';
import { settleDisks } from '../lib/scratch-disk.ts';
import { Results } from './results.ts';
import { timed } from './workshop.ts';

const { values } = parseArgs({
  options: {
    systems: { type: 'string', default: 'ext4,btrfs,xfs' },
    files: { type: 'string', default: '15000' },
    'large-mib': { type: 'string', default: '512' },
    rounds: { type: 'string', default: '7' },
    keep: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const results = new Results();
const notes = [
  'Median of the rounds, line: least to most. tslayer in a process that runs, cp and rm with their start.',
  'Everything dirty was written before; the two take turns.',
];

for (const system of values.systems.split(',') as LoopType[]) {
  const missing = cannotLoop(system);
  if (missing !== undefined) process.stderr.write(`left out: ${system} (${missing})\n`);
  else await measureOn(system);
}

async function measureOn(system: LoopType): Promise<void> {
  using disk = loopFs(system, 4096);
  const small = join(disk.path, 'small');
  makeSmall(small, Number(values.files));
  await measure(`${values.files} files of 4 KiB, ${system}`, small, disk.path, system !== 'ext4');
  if (system === 'ext4') notes.push(`System calls a file, of 4 KiB: ${callsPerFile(disk.path, Number(values.files))}.`);
  execFileSync('rm', ['-rf', small]);
  const large = join(disk.path, 'large');
  makeLarge(large, Number(values['large-mib']));
  await measure(`${values['large-mib']} MiB in files of 16 MiB, ${system}`, large, disk.path, system !== 'ext4');
}

/** Directories of 100 files. */
function makeSmall(tree: string, count: number): void {
  const content = Buffer.alloc(4096, 'c');
  for (let at = 0; at < count; at++) {
    const directory = join(tree, `d${Math.floor(at / 100)}`);
    if (at % 100 === 0) mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${at}`), content);
  }
}

function makeLarge(tree: string, mebibytes: number): void {
  mkdirSync(tree);
  const content = Buffer.alloc(16 * 2 ** 20, 'l');
  for (let at = 0; at * 16 < mebibytes; at++) writeFileSync(join(tree, `${at}`), content);
}

async function measure(what: string, tree: string, disk: string, shared: boolean): Promise<void> {
  const [ours, cp, removal, rm]: [number[], number[], number[], number[]] = [[], [], [], []];
  const cpCommand = ['-a', ...(shared ? ['--reflink=always'] : []), tree];
  for (let round = 0; round < rounds; round++) {
    const [one, other] = [join(disk, 'one'), join(disk, 'other')];
    settleDisks();
    mkdirSync(one);
    ours.push(await timed(() => inSlices(copyTree(tree, one))));
    settleDisks();
    cp.push(await timed(() => execFileSync('cp', [...cpCommand, other])));
    settleDisks();
    removal.push(await timed(() => inSlices(removeTree(one))));
    settleDisks();
    rm.push(await timed(() => execFileSync('rm', ['-rf', other])));
  }
  results.note(`copying ${what}`, 'tslayer vfs', ours);
  results.note(`copying ${what}`, `cp ${cpCommand.slice(0, -1).join(' ')}`, cp);
  results.note(`removing ${what}`, 'tslayer vfs', removal);
  results.note(`removing ${what}`, 'rm -rf', rm);
}

/** What the copies' whole processes ask of the kernel, by strace, without Node's own start. */
function callsPerFile(disk: string, count: number): string {
  if (programPath('strace') === undefined) return 'not counted, strace is not installed';
  const child = resolve(import.meta.dirname, '../../test/support/tree-child.ts');
  const empty = join(disk, 'empty');
  mkdirSync(empty);
  const perFile = (name: string, argv: (from: string) => string[]): string => {
    const calls = ['small', 'empty'].map((from) => countCalls(disk, argv(join(disk, from))));
    return `${name} ${((calls[0]! - calls[1]!) / count).toFixed(1)}`;
  };
  const ours = perFile('tslayer', (from) => [process.execPath, child, 'copy', from, `${from}-ours`]);
  const theirs = perFile('cp', (from) => ['cp', '-a', from, `${from}-cp`]);
  execFileSync('rm', [
    '-rf',
    ...['small', 'empty'].flatMap((name) => [join(disk, `${name}-ours`), join(disk, `${name}-cp`)]),
  ]);
  return `${ours}, ${theirs}`;
}

function countCalls(disk: string, argv: readonly string[]): number {
  const log = join(disk, 'calls');
  execFileSync('strace', ['-f', '-qq', '-e', 'trace=%file,%desc', '-e', 'signal=none', '-c', '-o', log, ...argv]);
  const total = /(\d+)(?:\s+\d+)?\s+total\s*$/m.exec(readFileSync(log, 'utf8'))?.[1];
  return Number(total ?? 0);
}

results.publish('drivers-copies', 'Whole copies beside cp', notes, values.keep);
