/** Trees by descriptors, as vfs copies and every driver removes them: what is kept, what is refused, what it costs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { copyTree } from '../../../drivers/tree/copy.ts';
import { removeTree } from '../../../drivers/tree/remove.ts';
import { performMounts } from '../../../src/mounts/perform.ts';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

const run = (work: Iterator<unknown>): void => {
  while (!work.next().done);
};

test('a copy has everything: links, holes, owners, times, attributes, devices, names of any bytes', (t) => {
  if (!requires(t, root)) return;
  using dir = tempDir('copy-tree');
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
  makeHardTree(from, { crowd: 500 });
  mkdirSync(to);
  run(copyTree(from, to));
  assert.deepEqual(compareTrees(snapshotTree(from), snapshotTree(to)), []);
  const blocks = (path: string): number => Number(execFileSync('du', ['-s', path]).toString().split('\t')[0]);
  assert.ok(blocks(to) < blocks(from) + 256, 'holes stay holes');
});

test('a copy does not depend on the umask, and leaves it alone', (t) => {
  if (!requires(t, root)) return;
  using dir = tempDir('copy-umask');
  const [from, to] = [join(dir.path, 'from'), join(dir.path, 'to')];
  execFileSync(
    'sh',
    ['-ec', 'mkdir -p from/d; cd from; for m in 777 755 600 4755 2711 1777 000; do touch $m; done; chmod 777 d'],
    {
      cwd: dir.path,
    },
  );
  for (const mode of ['777', '755', '600', '4755', '2711', '1777', '000']) {
    execFileSync('chmod', [mode, join(from, mode)]);
  }
  mkdirSync(to);
  const before = process.umask(0o077);
  try {
    run(copyTree(from, to));
    assert.equal(process.umask(), 0o077);
  } finally {
    process.umask(before);
  }
  assert.deepEqual(compareTrees(snapshotTree(from), snapshotTree(to)), []);
});

test('what is mounted in a tree is not deleted with it', (t) => {
  if (!requires(t, root)) return;
  using dir = tempDir('remove-mounted');
  const [tree, outside] = [join(dir.path, 'tree'), join(dir.path, 'outside')];
  for (const path of [join(tree, 'd/mnt'), outside]) mkdirSync(path, { recursive: true });
  writeFileSync(join(outside, 'precious'), 'x');
  performMounts([{ type: 'bind', source: outside, options: [] }], join(tree, 'd/mnt'));
  try {
    assert.throws(() => run(removeTree(tree)), { code: 'IN_USE', message: /something is mounted at .*tree\/d\/mnt/ });
    assert.equal(readFileSync(join(outside, 'precious'), 'utf8'), 'x');
  } finally {
    detachBelow(dir.path);
  }
  run(removeTree(tree));
  assert.equal(existsSync(tree), false);
});

test('a tree deeper than any path is deleted', (t) => {
  if (!requires(t, root)) return;
  using dir = tempDir('remove-deep');
  // From the inside out, since no path reaches the deepest.
  const tree = join(dir.path, 'tree');
  mkdirSync(tree);
  const name = 'd'.repeat(200);
  for (let depth = 0; depth < 700; depth++) {
    const around = join(dir.path, 'around');
    mkdirSync(around);
    writeFileSync(join(around, 'file'), '');
    renameSync(tree, join(around, name));
    renameSync(around, tree);
  }
  run(removeTree(tree));
  assert.equal(existsSync(tree), false);
});

const FILES = 2000;

/** System calls that a run of tree-child makes more with many files than with none, a file. */
function callsPerFile(what: 'copy' | 'remove', dir: string): number {
  const count = (files: number): number => {
    const from = join(dir, `${what}-${files}`);
    mkdirSync(from);
    for (let at = 0; at < files; at++) writeFileSync(join(from, `${at}`), 'content');
    const child = resolve(import.meta.dirname, '../../support/tree-child.ts');
    const log = join(dir, 'calls');
    const argv = [process.execPath, child, what, from, `${from}-copy`];
    // Calls by name: Node's own threads wake each other up as they like.
    const traced = 'trace=%file,%desc';
    execFileSync('strace', ['-f', '-qq', '-e', traced, '-e', 'signal=none', '-c', '-o', log, ...argv]);
    return countOf(readFileSync(log, 'utf8'));
  };
  return (count(FILES) - count(0)) / FILES;
}

const OWN_CALLS = ['epoll', 'eventfd', 'mmap', 'futex', 'fcntl', 'ioctl'];

function countOf(report: string): number {
  let calls = 0;
  for (const line of report.split('\n')) {
    const [, number, name] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line) ?? [];
    if (name !== undefined && name !== 'total' && !OWN_CALLS.some((own) => name.startsWith(own)))
      calls += Number(number);
  }
  return calls;
}

test('copying a file takes nine system calls, where cp -a takes seventeen', (t) => {
  if (!requires(t, root, program('strace'))) return;
  using dir = tempDir('copy-calls');
  const calls = callsPerFile('copy', dir.path);
  assert.ok(calls > 8 && calls < 9.3, `${calls} calls a file`);
  assert.equal(statSync(join(dir.path, `copy-${FILES}-copy/7`)).size, 7);
});

test('removing a file takes one system call', (t) => {
  if (!requires(t, root, program('strace'))) return;
  using dir = tempDir('remove-calls');
  const calls = callsPerFile('remove', dir.path);
  assert.ok(calls > 0.9 && calls < 1.2, `${calls} calls a file`);
});
