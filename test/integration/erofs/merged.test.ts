/** A stack as one merged image: the same tree as layer by layer, in one file system, made once and never half. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { driver as erofs } from '../../../drivers/erofs/index.ts';
import { fsck, fsckErofs } from '../../support/erofs-fsck.ts';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { hardLayers } from '../../support/hard-layers.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import type { TarMember } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

const needs = [root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)];
const MERGED = { merged: true };

/** A layer with a file that all have, hard links, and a directory of its own. */
const layer = (name: string): readonly TarMember[] => [
  { path: 'shared', type: '5' },
  { path: `shared/${name}`, data: name },
  { path: `shared/${name}-linked`, type: '1', link: `shared/${name}` },
  { path: name, type: '5' },
  { path: `${name}/f`, data: name.repeat(1000) },
  { path: 'top', data: name },
];

/** Paths of the merged images in a driver's directory. */
function mergedImages(directory: string): string[] {
  const stacks = join(directory, 'layers/.stacks');
  if (!existsSync(stacks)) return [];
  return readdirSync(stacks)
    .filter((name) => name.endsWith('.merged'))
    .map((name) => join(stacks, name));
}

describe('a merged EROFS image', () => {
  test('shows what the stack shows layer by layer, and fsck.erofs finds nothing in it', async (t) => {
    if (!requires(t, ...needs, fsckErofs, program('setfacl'), program('setcap'))) return;
    using dir = tempDir('erofs-merged');
    const tars = hardLayers(dir.path);
    using stacked = await ErofsStack.open(dir.path);
    const layers: string[] = [];
    for (const tar of tars) layers.unshift(await stacked.layer(tar));
    using merged = new ErofsStack(dir.path, await erofs.open(join(dir.path, 'layers'), MERGED));
    const expected = snapshotTree(await stacked.mount(undefined, layers, { readOnly: true }));
    assert.ok(expected.some(({ path }) => path === 'sparse/again'));
    const found = snapshotTree(await merged.mount(undefined, layers, { readOnly: true }));
    assert.deepEqual(compareTrees(expected, found), []);
    const devices = layers.map((id) => join(dir.path, 'layers', `${id}.erofs`));
    const [image = ''] = mergedImages(dir.path);
    assert.equal(fsck(image, devices), '');
    // The check sees the devices: without them it cannot read the files.
    assert.notEqual(fsck(image), '');
  });

  test('is one file system with an inode number of 32 bits for each file', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-merged');
    using stack = await ErofsStack.open(dir.path, MERGED);
    const view = await stack.view(layer('a'), layer('b'), layer('c'));
    const names = ['', ...readdirSync(view, { recursive: true, encoding: 'utf8' })];
    const files = names.map((name) => lstatSync(join(view, name), { bigint: true }));
    assert.equal(new Set(files.map(({ dev }) => dev)).size, 1);
    // Each of the three linked files is one inode under two names.
    assert.equal(new Set(files.map(({ ino }) => ino)).size, names.length - 3);
    assert.ok(files.every(({ ino }) => ino < 2n ** 32n));
    assert.equal(statSync(join(view, 'shared/a')).ino, statSync(join(view, 'shared/a-linked')).ino);
    assert.equal(statSync(join(view, 'shared/a')).nlink, 2);
  });

  test('takes more layers than overlayfs does', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-merged');
    using stack = await ErofsStack.open(dir.path, MERGED);
    const count = 600;
    const layers = await stack.stack(
      ...Array.from({ length: count }, (_, at) => [
        { path: `f${at}`, data: `${at}` },
        { path: 'top', data: `${at}` },
      ]),
    );
    await stack.driver.prepare('s1', layers);
    const path = await stack.mount('s1', layers);
    assert.equal(readdirSync(path).length, count + 1);
    assert.deepEqual(snapshotTree(path).map(({ path: name }) => name).length, count + 2);
  });

  test('can be mounted where the snapshot was written over single layers, and back', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-merged');
    using stacked = await ErofsStack.open(dir.path);
    const layers = await stacked.stack(layer('a'), layer('b'));
    await stacked.driver.prepare('s1', layers);
    const write = async (stack: ErofsStack, name: string): Promise<string[]> => {
      using mounted = stack;
      const path = await mounted.mount('s1', layers);
      writeFileSync(join(path, 'shared/a'), name);
      writeFileSync(join(path, name), name);
      return readdirSync(path).sort();
    };
    await write(new ErofsStack(join(dir.path), stacked.driver), 'one');
    const other = await erofs.open(join(dir.path, 'layers'), MERGED);
    using elsewhere = tempDir('erofs-merged');
    assert.deepEqual(await write(new ErofsStack(elsewhere.path, other), 'two'), [
      'a',
      'b',
      'one',
      'shared',
      'top',
      'two',
    ]);
    using again = tempDir('erofs-merged');
    const names = await write(new ErofsStack(again.path, stacked.driver), 'three');
    assert.deepEqual(names, ['a', 'b', 'one', 'shared', 'three', 'top', 'two']);
  });
});

describe('the cache of merged images', () => {
  test('is used again, and goes with any of its layers', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-merged');
    using stack = await ErofsStack.open(dir.path, MERGED);
    const [top = '', base = ''] = await stack.stack(layer('a'), layer('b'));
    await stack.mount(undefined, [top, base]);
    const [image = ''] = mergedImages(dir.path);
    const { ino } = statSync(image);
    await stack.mount(undefined, [top, base]);
    await stack.mount(undefined, [base]);
    assert.equal(statSync(image).ino, ino);
    assert.equal(mergedImages(dir.path).length, 2);
    await stack.driver.remove(top);
    const left = mergedImages(dir.path);
    assert.equal(left.length, 1);
    assert.notEqual(left[0], image);
    await stack.driver.remove(base);
    assert.deepEqual(mergedImages(dir.path), []);
  });

  for (const [name, damage] of Object.entries({
    'cut short': (image: string) => truncateSync(image, 3000),
    'empty, as a power loss may leave a file': (image: string) => truncateSync(image, 0),
  })) {
    test(`is made anew where it is ${name}`, async (t) => {
      if (!requires(t, ...needs)) return;
      using dir = tempDir('erofs-merged');
      using stack = await ErofsStack.open(dir.path, MERGED);
      const layers = await stack.stack(layer('a'), layer('b'));
      const whole = snapshotTree(await stack.mount(undefined, layers));
      const [image = ''] = mergedImages(dir.path);
      assert.equal(await stack.driver.caches?.verify(image), undefined);
      damage(image);
      assert.match((await stack.driver.caches?.verify(image)) ?? '', /./);
      assert.deepEqual(compareTrees(whole, snapshotTree(await stack.mount(undefined, layers))), []);
    });
  }

  test('has no half image under its name when the writer is killed, and what it left is swept', async (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-merged');
    const url = (path: string): string => JSON.stringify(new URL(`../../../${path}`, import.meta.url).href);
    const image = join(dir.path, 'layers/.stacks/x.merged');
    const script = [
      `const { StackFiles } = await import(${url('drivers/erofs/stack-files.ts')});`,
      `const { writeFileSync } = await import('node:fs');`,
      `new StackFiles(${JSON.stringify(join(dir.path, 'layers'))}).publish(${JSON.stringify(image)}, (path) => {`,
      `  writeFileSync(path, 'half'); process.kill(process.pid, 'SIGKILL');`,
      `});`,
    ].join('\n');
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const signal = await new Promise((resolve) => child.once('close', (_code, name) => resolve(name)));
    assert.equal(signal, 'SIGKILL');
    assert.equal(readdirSync(join(dir.path, 'layers/.stacks')).length, 1);
    assert.equal(existsSync(image), false);
    await erofs.open(join(dir.path, 'layers'));
    assert.deepEqual(readdirSync(join(dir.path, 'layers/.stacks')), []);
  });
});
