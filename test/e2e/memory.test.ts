/**
 * A pull takes less than 250 MB of memory, whatever the image: one file larger than 4 GiB, a million files, the same in
 * layers that are unpacked side by side. The built command line, a registry in another process, layers made on the fly.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { tslayer } from '../support/cli.ts';
import { largeFileTar, layoutOfTars, manyFilesTar } from '../support/huge-layers.ts';
import { kernel, kernelFs, missing, root } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

const skip = missing(root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12));
const LIMIT = 250e6;
const MINUTES = 60_000;

const project = join(import.meta.dirname, '../..');
const COMMAND: [string, string] = [process.execPath, join(project, 'bin/tslayer.cjs')];

/** What a process has taken at most until its end. The kernel keeps count: only the last moment can be missed. */
function watchMemory({ pid }: ChildProcess): () => number {
  let peak = 0;
  const timer = setInterval(() => {
    try {
      const [, kilobytes = '0'] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
      peak = Math.max(peak, Number(kilobytes) * 1024);
    } catch {
      // It has ended.
    }
  }, 10);
  return () => {
    clearInterval(timer);
    return peak;
  };
}

/** Pulls an image of these layers; `look` at its files. */
async function pull(tars: readonly Iterable<Uint8Array>[], look: (directory: string) => void): Promise<void> {
  using directory = tempDir('memory');
  const layout = join(directory.path, 'layout');
  const store = ['--root', join(directory.path, 'store'), '--driver', 'erofs'];
  await layoutOfTars(layout, tars);
  const registry = spawn(COMMAND[0], [COMMAND[1], 'serve', layout, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const { host } = JSON.parse(String(await new Promise((resolve) => registry.stdout.once('data', resolve))));
    let peak = (): number => 0;
    const onStart = (child: ChildProcess): void => {
      peak = watchMemory(child);
    };
    const args = [...store, 'pull', `${host}/huge:latest`];
    const pulled = await tslayer(args, { command: COMMAND, timeout: 10 * MINUTES, onStart });
    const bytes = peak();
    assert.equal(pulled.status, 0, pulled.stderr);
    assert.ok(bytes > 30e6 && bytes < LIMIT, `${(bytes / 1e6).toFixed(0)} MB`);
    const mounted = await tslayer([...store, 'mount', '--read-only', `${host}/huge:latest`], { command: COMMAND });
    assert.equal(mounted.status, 0, mounted.stderr);
    try {
      look(mounted.stdout.trim());
    } finally {
      const unmounted = await tslayer([...store, 'umount', mounted.stdout.trim()], { command: COMMAND });
      assert.equal(unmounted.status, 0, unmounted.stderr);
    }
  } finally {
    registry.kill();
  }
}

test('a file of 5 GiB', { skip, timeout: 15 * MINUTES }, async () => {
  const size = 5 * 2 ** 30 + 12_345;
  await pull([largeFileTar('huge', size)], (path) => {
    assert.deepEqual(readdirSync(path).sort(), ['before', 'behind', 'huge']);
    assert.equal(readFileSync(join(path, 'behind'), 'utf8'), 'behind');
    assert.equal(statSync(join(path, 'huge')).size, size);
    const fd = openSync(join(path, 'huge'), 'r');
    const end = Buffer.alloc(10);
    assert.equal(readSync(fd, end, 0, 10, size - 4), 4);
    closeSync(fd);
    assert.equal(end.toString('utf8', 0, 4), 'huge');
  });
});

/** All directories of `manyFilesTar` are there, and each has its files. */
function count(path: string): number {
  const packages = join(path, 'lib/packages');
  return readdirSync(packages).reduce((sum, name) => sum + readdirSync(join(packages, name)).length, 0);
}

test('a million files', { skip, timeout: 15 * MINUTES }, async () => {
  await pull([manyFilesTar(1_000_000, 'usr')], (path) => {
    assert.equal(count(join(path, 'usr')), 1_000_000);
    const { uid, mtimeMs, size } = statSync(
      join(path, 'usr/lib/packages/package-number-999/some-file-with-number-998'),
    );
    assert.deepEqual([uid, mtimeMs, size], [999, 998_000, 0]);
  });
});

test('a million files in two layers', { skip, timeout: 15 * MINUTES }, async () => {
  await pull([manyFilesTar(500_000, 'usr'), manyFilesTar(500_000, 'opt')], (path) => {
    assert.equal(count(join(path, 'usr')) + count(join(path, 'opt')), 1_000_000);
  });
});
