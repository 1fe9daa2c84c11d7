/** Many layers, many files, many at a time. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dir, file } from './items.ts';
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

  async 'a directory of 5000 names'(kit) {
    const items = Array.from({ length: 5000 }, (_, at) => file(`d/${at}`, `${at}`));
    const stack = await kit.stack([dir('d'), ...items]);
    const { id, path } = await kit.work(stack);
    assert.equal(readdirSync(join(path, 'd')).length, 5000);
    for (let at = 0; at < 5000; at += 50) writeFileSync(join(path, `d/${at}`), 'changed');
    assert.equal((await kit.changes(id, stack)).length, 100);
  },
};
