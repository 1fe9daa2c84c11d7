/** Many layers, many files, many at a time. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTslayerError } from '../../src/errors.ts';
import { dir, file, hardlink, whiteout } from './items.ts';
import type { Kit } from './kit.ts';
import type { Part } from './suite.ts';

/** Layers with a file each, and one that all of them replace. */
async function manyLayers(kit: Kit, count: number): Promise<string[]> {
  let stack: string[] = [];
  for (let at = 0; at < count; at++) {
    stack = await kit.layer([dir('d'), file(`d/${at}`, `${at}`), file('top', `${at}`)], stack);
  }
  return stack;
}

async function checkMany(kit: Kit, count: number): Promise<void> {
  const stack = await manyLayers(kit, count);
  const { id, path } = await kit.work(stack);
  assert.equal(readdirSync(join(path, 'd')).length, count);
  assert.equal(readFileSync(join(path, 'top'), 'utf8'), `${count - 1}`);
  assert.equal(readFileSync(join(path, 'd/0'), 'utf8'), '0');
  writeFileSync(join(path, 'd/0'), 'changed');
  const changes = await kit.changes(id, stack);
  // Copying up may give the directories on the way a new time.
  const written = changes.filter((line) => line !== '~ ' && line !== '~ d');
  assert.deepEqual(written, ['~ d/0']);
  assert.equal((await kit.view(stack)).length, count + 3);
}

/** Removing the topmost layer fails while it is mounted, or does no harm. */
async function assertKept(kit: Kit, layer: string, path: string): Promise<void> {
  try {
    await kit.driver.remove(layer);
  } catch (error) {
    assert.ok(isTslayerError(error, 'IN_USE'), String(error));
  }
  assert.equal(readFileSync(join(path, 'tmp/x'), 'utf8'), 'x');
  kit.unmount(path);
}

export const scale: Part = {
  '1 layer': (kit) => checkMany(kit, 1),
  '2 layers': (kit) => checkMany(kit, 2),
  '60 layers': (kit) => checkMany(kit, 60),
  '128 layers, or as many as it takes': (kit, _t, { maxLayers = 500 }) => checkMany(kit, Math.min(maxLayers, 128)),

  async 'the number of layers is limited as documented, and one more is refused with the number'(kit, _t, setup) {
    const { maxLayers = 500 } = setup;
    if (!Number.isFinite(maxLayers)) {
      const [top = ''] = await kit.stack([file('f')]);
      assert.ok(await kit.driver.mounts(undefined, new Array<string>(1000).fill(top), {}));
      return;
    }
    await checkMany(kit, maxLayers);
    const stack = await manyLayers(kit, maxLayers + 1);
    const id = await kit.snapshot(stack);
    await assert.rejects(kit.driver.mounts(id, stack, {}), {
      code: 'UNSUPPORTED',
      message: new RegExp(`${maxLayers}`),
    });
  },

  async 'directories that a layer only implies look as below, under as many layers as can be'(kit, _t, setup) {
    for (const count of new Set(
      [128, 499, 500].map((number) => Math.min(number, setup.maxLooks ?? setup.maxLayers ?? 500)),
    )) {
      const sticky = dir('tmp', { mode: 0o1777, gid: 3, xattrs: { 'user.t': '1' } });
      let stack = await kit.stack([sticky, dir('d', { mode: 0o711 }), file('d/base', 'x')]);
      for (let at = stack.length; at < count - 1; at++) stack = await kit.layer([dir('d', { mode: 0o750 })], stack);
      const top = [file('tmp/x', 'x'), whiteout('d/base'), file('d/sub/y'), hardlink('z', 'd/sub/y')];
      stack = await kit.layer(top, stack);
      const found = new Map((await kit.view(stack)).map((record) => [record.path, record]));
      assert.deepEqual([...found.keys()], ['', 'd', 'd/sub', 'd/sub/y', 'tmp', 'tmp/x', 'z']);
      const looks = (path: string): unknown[] => [found.get(path)?.mode, found.get(path)?.gid, found.get(path)?.xattrs];
      assert.deepEqual(looks('tmp'), [0o1777, 3, ['user.t=31']], `${count} layers`);
      assert.deepEqual(looks('d'), [0o750, 0, []], `${count} layers`);
      assert.equal(found.get('z')?.linkedTo, 'd/sub/y');
      const { id, path } = await kit.work(stack);
      assert.equal(statSync(join(path, 'tmp')).mode & 0o7777, 0o1777);
      assert.deepEqual(await kit.changes(id, stack), []);
      await assertKept(kit, stack[0]!, path);
    }
  },

  async 'a directory of 5000 names'(kit, _t, { keepsDirectoryTimes = true }) {
    const items = Array.from({ length: 5000 }, (_, at) => file(`d/${at}`, `${at}`));
    const stack = await kit.stack([dir('d'), ...items]);
    const { id, path } = await kit.work(stack);
    assert.equal(readdirSync(join(path, 'd')).length, 5000);
    for (let at = 0; at < 5000; at += 50) writeFileSync(join(path, `d/${at}`), 'changed');
    const changes = await kit.changes(id, stack);
    const directories = keepsDirectoryTimes ? [] : ['~ ', '~ d'];
    assert.equal(changes.filter((line) => !directories.includes(line)).length, 100);
  },
};
