/** Whiteouts, opaque directories and replaced entries: what a stack of EROFS layers shows under overlayfs. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ErofsStack } from '../../support/erofs-stack.ts';
import { kernel, kernelFs, requires, root } from '../../support/requires.ts';
import type { TarMember } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const needs = [root, kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)];

const dir = (path: string, more: Partial<TarMember> = {}): TarMember => ({ path, type: '5', ...more });
const file = (path: string, data = path): TarMember => ({ path, data });
const whiteout = (path: string): TarMember => file(path.replace(/([^/]*)$/, '.wh.$1'), '');
const opaque = (path: string): TarMember => file(`${path}/.wh..wh..opq`, '');

/** Paths under a view of the layers, base first. */
async function shown(...layers: (readonly TarMember[])[]): Promise<string[]> {
  using temporary = tempDir('erofs-stack');
  using stack = await ErofsStack.open(temporary.path);
  const view = await stack.view(...layers);
  // As readdir(3) lists it: a whiteout that hides nothing is listed, and cannot be opened.
  return readdirSync(view, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name).slice(view.length + 1) + (entry.isDirectory() ? '/' : ''))
    .sort();
}

const base = [dir('d'), file('d/a'), file('d/b'), dir('d/sub'), file('d/sub/x'), file('top')];

describe('a stack of EROFS layers', () => {
  const cases: Record<string, { layers: (readonly TarMember[])[]; shows: string[] }> = {
    'merges directories': {
      layers: [base, [dir('d'), file('d/c')]],
      shows: ['d/', 'd/a', 'd/b', 'd/c', 'd/sub/', 'd/sub/x', 'top'],
    },
    'hides a file by a whiteout': {
      layers: [base, [dir('d'), whiteout('d/a')]],
      shows: ['d/', 'd/b', 'd/sub/', 'd/sub/x', 'top'],
    },
    'hides a directory by a whiteout': { layers: [base, [whiteout('d')]], shows: ['top'] },
    'hides what lies below an opaque directory': {
      layers: [base, [dir('d'), opaque('d'), file('d/new')]],
      shows: ['d/', 'd/new', 'top'],
    },
    'hides the same when the opaque marker comes after its siblings': {
      layers: [base, [dir('d'), file('d/new'), opaque('d')]],
      shows: ['d/', 'd/new', 'top'],
    },
    'hides the same when only the opaque marker names the directory': {
      layers: [base, [opaque('d'), file('d/new')]],
      shows: ['d/', 'd/new', 'top'],
    },
    'hides all layers below an opaque root': {
      layers: [base, [file('below')], [file('new'), opaque('.')], [file('above')]],
      shows: ['above', 'new'],
    },
    'lets an entry win over a whiteout of its name before it': {
      layers: [base, [whiteout('top'), file('top', 'new')]],
      shows: ['d/', 'd/a', 'd/b', 'd/sub/', 'd/sub/x', 'top'],
    },
    'makes a directory opaque that follows a whiteout of its name': {
      layers: [base, [whiteout('d'), dir('d'), file('d/n')]],
      shows: ['d/', 'd/n', 'top'],
    },
    'makes a directory opaque that precedes a whiteout of its name': {
      layers: [base, [dir('d'), file('d/n'), whiteout('d')]],
      shows: ['d/', 'd/n', 'top'],
    },
    'makes a directory opaque of which only a child follows the whiteout': {
      layers: [base, [whiteout('d'), file('d/n')]],
      shows: ['d/', 'd/n', 'top'],
    },
    'shows no whiteout that hides nothing': {
      layers: [base, [dir('e'), whiteout('e/gone'), file('e/here'), whiteout('nothing')]],
      shows: ['d/', 'd/a', 'd/b', 'd/sub/', 'd/sub/x', 'e/', 'e/here', 'top'],
    },
    'shows no whiteout of its lowest layer': {
      layers: [[dir('d'), whiteout('d/x'), whiteout('y'), file('d/z')]],
      shows: ['d/', 'd/z'],
    },
    'shows no whiteout in an opaque directory': {
      layers: [base, [dir('d'), opaque('d'), whiteout('d/a'), dir('d/s'), whiteout('d/s/t')]],
      shows: ['d/', 'd/s/', 'top'],
    },
    'shows no whiteout of a directory that was hidden in between': {
      layers: [base, [whiteout('d')], [dir('d'), whiteout('d/a'), file('d/q')]],
      shows: ['d/', 'd/q', 'top'],
    },
    'replaces a directory by a file': { layers: [base, [file('d')]], shows: ['d', 'top'] },
    'replaces a file by a directory': {
      layers: [base, [dir('top'), file('top/in')]],
      shows: ['d/', 'd/a', 'd/b', 'd/sub/', 'd/sub/x', 'top/', 'top/in'],
    },
    'ignores the bookkeeping of AUFS': {
      layers: [base, [file('.wh..wh.plnk/1'), file('.wh..wh.aufs')]],
      shows: ['d/', 'd/a', 'd/b', 'd/sub/', 'd/sub/x', 'top'],
    },
  };
  for (const [name, { layers, shows }] of Object.entries(cases)) {
    test(name, async (t) => {
      if (!requires(t, ...needs)) return;
      assert.deepEqual(await shown(...layers), shows);
    });
  }

  test('shows nothing of nothing', async (t) => {
    if (!requires(t, ...needs)) return;
    assert.deepEqual(await shown(), []);
  });

  test('can be written to, and its layers stay as they are', async (t) => {
    if (!requires(t, ...needs)) return;
    using temporary = tempDir('erofs-stack');
    using stack = await ErofsStack.open(temporary.path);
    const layers = await stack.stack([dir('', { mode: 0o711, uid: 12, gid: 34, mtime: 1000 }), ...base], [file('d/c')]);
    await stack.driver.prepare('s1', layers);
    await stack.driver.prepare('s2', layers);
    const [one, two] = [await stack.mount('s1', layers), await stack.mount('s2', layers)];
    const { mode, uid, gid, mtimeMs } = statSync(one);
    assert.deepEqual([mode & 0o7777, uid, gid, mtimeMs], [0o711, 12, 34, 1_000_000]);
    writeFileSync(join(one, 'd/a'), 'changed');
    writeFileSync(join(one, 'new'), 'new');
    assert.equal(readFileSync(join(two, 'd/a'), 'utf8'), 'd/a');
    assert.equal(existsSync(join(two, 'new')), false);
    assert.deepEqual(readdirSync(one).sort(), ['d', 'new', 'top']);
  });

  test('has one device number and an inode number for each file, be it in the upper directory or below', async (t) => {
    if (!requires(t, ...needs)) return;
    using temporary = tempDir('erofs-stack');
    using stack = await ErofsStack.open(temporary.path);
    const layer = (name: string) => [
      dir(name),
      file(`${name}/f`),
      file(name.repeat(2)),
      dir('shared'),
      file(`shared/${name}`),
    ];
    const layers = await stack.stack(layer('a'), layer('b'), layer('c'));
    await stack.driver.prepare('s1', layers);
    const path = await stack.mount('s1', layers);
    writeFileSync(join(path, 'written'), '');
    writeFileSync(join(path, 'a/f'), 'copied up');
    const names = ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })];
    const numbers = names.map((name) => statSync(join(path, name), { bigint: true }));
    assert.equal(new Set(numbers.map(({ dev }) => dev)).size, 1);
    assert.equal(new Set(numbers.map(({ ino }) => ino)).size, names.length);
  });
});
