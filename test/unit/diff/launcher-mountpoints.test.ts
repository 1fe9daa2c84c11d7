import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Change } from '../../../drivers/driver.ts';
import { withoutMountpoints } from '../../../src/images/launcher-mountpoints.ts';
import { collect } from '../../support/collect.ts';
import { entryOf } from '../../support/layer-trees.ts';

const added = (type: 'f' | 'd', path: string, more: Parameters<typeof entryOf>[3] = {}): Change => ({
  kind: 'added',
  entry: entryOf(type, path, '0', { mode: type === 'd' ? 0o755 : 0o644, ...more }),
});
const deleted = (path: string): Change => ({ kind: 'deleted', path: Buffer.from(path) });

async function* each(changes: readonly Change[]): AsyncGenerator<Change> {
  yield* changes;
}

async function left(...changes: Change[]): Promise<string[]> {
  const found = await collect(withoutMountpoints(each(changes)));
  return found.map((change) => `${change.kind} ${Buffer.from('entry' in change ? change.entry.path : change.path)}`);
}

test('what only mounting takes is left out, with the directory that holds nothing else', async () => {
  assert.deepEqual(await left(added('d', 'dev'), added('d', 'etc'), added('f', 'etc/hosts'), added('d', 'proc')), []);
});

test('a directory that holds something of the program’s stays, before it', async () => {
  const changes = [added('d', 'etc'), added('f', 'etc/hosts'), added('f', 'etc/one'), added('f', 'etc/resolv.conf')];
  assert.deepEqual(await left(...changes), ['added etc', 'added etc/one']);
  assert.deepEqual(await left(added('d', 'etc'), added('f', 'etc-one')), ['added etc-one']);
});

test('what the program did to such names is told', async () => {
  assert.deepEqual(await left(added('f', 'etc/hosts', { size: 3, storedSize: 3 })), ['added etc/hosts']);
  assert.deepEqual(await left(added('d', 'proc', { mode: 0o700 })), ['added proc']);
  assert.deepEqual(await left(deleted('etc/hosts'), deleted('proc')), ['deleted etc/hosts', 'deleted proc']);
  assert.deepEqual(await left(added('d', 'srv'), added('f', 'srv/hosts')), ['added srv', 'added srv/hosts']);
});
