/** Files with holes: from a tar, through a snapshot, to the next layer, holes stay holes. */
import assert from 'node:assert/strict';
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { file } from './items.ts';
import { treeBelow } from './kit.ts';
import type { Part } from './suite.ts';
import { compareTrees } from './tree.ts';

export const sparse: Part = {
  async 'a sparse file of 5 GiB takes no more room than its data'(kit) {
    const size = 5 * 1024 ** 3;
    const segments = [
      { offset: 0, length: 4096 },
      { offset: size - 4096, length: 4096 },
    ];
    const content = Buffer.concat([Buffer.alloc(4096, 'a'), Buffer.alloc(4096, 'z')]);
    const stack = await kit.stack([file('sparse', content, { size, segments })]);
    const target = await kit.mount(undefined, stack);
    assert.equal(statSync(join(target, 'sparse')).size, size);
    const { bytes } = await kit.driver.usage(stack[0]!);
    assert.ok(bytes < 1024 ** 2, `${bytes} bytes on disk`);
    const { id, path } = await kit.work(stack);
    assert.equal(statSync(join(path, 'sparse')).size, size);
    const snapshot = await kit.driver.usage(id);
    assert.ok(snapshot.bytes < 1024 ** 2, `${snapshot.bytes} bytes on disk`);
    assert.deepEqual(await kit.changes(id, stack), []);
  },

  async 'a sparse file of 5 GiB that is written to is told, and stored anew, by its data'(kit) {
    const size = 5 * 1024 ** 3;
    // A driver may keep holes in units of its own, and copy a unit whole.
    const limit = size / 100;
    const segments = [{ offset: size - 4096, length: 4096 }];
    const stack = await kit.stack([file('sparse', Buffer.alloc(4096, 'z'), { size, segments })]);
    const { id, path } = await kit.work(stack);
    const fd = openSync(join(path, 'sparse'), 'r+');
    writeSync(fd, Buffer.alloc(4096, 'm'), 0, 4096, 2 * 1024 ** 3);
    closeSync(fd);
    for await (const change of kit.driver.changes(id, stack)) {
      if (change.kind === 'modified' && change.entry.type === 'file') {
        assert.equal(change.entry.size, size);
        assert.ok(change.entry.storedSize < limit, `${change.entry.storedSize} bytes are told`);
      }
    }
    const committed = await kit.layer(kit.driver.changes(id, stack), stack);
    const { bytes } = await kit.driver.usage(committed[0]);
    assert.ok(bytes < limit, `${bytes} bytes on disk`);
    assert.deepEqual(compareTrees(treeBelow(path), await kit.view(committed)), []);
  },

  async 'a file of 5 GiB through and through, where holes are all it has'(kit) {
    const stack = await kit.stack([file('hole', '', { size: 5 * 1024 ** 3, segments: [] })]);
    const [, hole] = await kit.view(stack);
    assert.equal(hole?.size, 5 * 1024 ** 3);
  },
};
