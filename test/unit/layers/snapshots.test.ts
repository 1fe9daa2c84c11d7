import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { openStore } from '../../../src/images/store.ts';
import { asChainID, asDiffID, type ChainID, digestOf } from '../../../src/oci/digest.ts';
import { chooserOf, FakeDriver } from '../../support/fake-driver.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

let directory: TempDir;
let store: OpenStore;
let driver: FakeDriver;

beforeEach(async () => {
  directory = tempDir('snapshots');
  driver = new FakeDriver();
  store = await openStore({ root: `${directory.path}/store`, drivers: chooserOf(driver) });
});

afterEach(async () => {
  driver.failure = undefined;
  await store[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const result = { bytes: 0, inodes: 0, warnings: [] };

/** A committed stack of layers with these names, base first. */
async function commit(...names: string[]): Promise<ChainID> {
  let parent: ChainID | undefined;
  for (const name of names) {
    const diffId = asDiffID(digestOf(name));
    const chain = asChainID(digestOf(`${parent} ${name}`));
    if (!store.metadata.layers.get(diffId)) {
      await using writer = await store.layers.begin(diffId, parent);
      await writer.commit({ diffId, tarSize: 1, result, indexed: false });
    }
    store.metadata.snapshots.putChain(chain, parent, diffId, Date.now());
    parent = chain;
  }
  return parent as ChainID;
}

function refuses(code: Parameters<typeof isTslayerError>[1]): (error: unknown) => boolean {
  return (error) => isTslayerError(error, code);
}

describe('layers', () => {
  test('that are not committed leave nothing', async () => {
    {
      await using _writer = await store.layers.begin(asDiffID(digestOf('a')), undefined);
    }
    assert.equal(driver.present.size, 0);
    assert.deepEqual(store.metadata.garbage.list(), []);
  });

  test('are garbage of their session until they have a row', async () => {
    await using writer = await store.layers.begin(asDiffID(digestOf('a')), undefined);
    const session = store.session.openId as string;
    assert.deepEqual(store.metadata.garbage.list(), [{ kind: 'layer', key: writer.id, session, driver: 'fake' }]);
    await writer.commit({ diffId: asDiffID(digestOf('a')), tarSize: 1, result, indexed: false });
    assert.deepEqual(store.metadata.garbage.list(), []);
  });

  test('whose driver fails at the commit have no row', async () => {
    {
      await using writer = await store.layers.begin(asDiffID(digestOf('a')), undefined);
      driver.failure = new Error('broken');
      await assert.rejects(writer.commit({ diffId: asDiffID(digestOf('a')), tarSize: 1, result, indexed: false }));
      driver.failure = undefined;
    }
    assert.deepEqual(store.metadata.layers.list(), []);
    assert.deepEqual(store.metadata.garbage.list(), []);
  });

  test('stack top first, equal ones once', async () => {
    const chain = await commit('base', 'top', 'base');
    const id = (name: string) => store.metadata.layers.get(asDiffID(digestOf(name)))?.id;
    assert.deepEqual(store.layers.stack(chain), [id('base'), id('top')]);
    assert.throws(() => store.layers.stack(asChainID(digestOf('none'))), refuses('NOT_FOUND'));
  });

  test('that a crash left are swept by whoever opens the store next', async () => {
    const writer = await store.layers.begin(asDiffID(digestOf('a')), undefined);
    driver.present.set(writer.id, []);
    // The session ends without the writer: as when its process is killed.
    await store[Symbol.asyncDispose]();
    store = await openStore({ root: store.paths.root, drivers: chooserOf(driver) });
    assert.equal(driver.present.size, 0);
    assert.deepEqual(store.metadata.garbage.list(), []);
  });

  test('that cannot be swept now do not keep the store from opening', async () => {
    await store.layers.begin(asDiffID(digestOf('a')), undefined);
    await store[Symbol.asyncDispose]();
    driver.failure = new Error('mounted somewhere');
    store = await openStore({ root: store.paths.root, drivers: chooserOf(driver) });
    assert.equal(store.metadata.garbage.list().length, 1);
    await store[Symbol.asyncDispose]();
    driver.failure = undefined;
    store = await openStore({ root: store.paths.root, drivers: chooserOf(driver) });
    assert.equal(store.metadata.garbage.list().length, 0);
  });
});

describe('snapshots', () => {
  test('are active, views or committed', async () => {
    const chain = await commit('base', 'top');
    await store.snapshots.prepare('work', chain, { purpose: 'test' });
    await store.snapshots.view('look', chain);
    assert.equal(store.snapshots.stat('work')?.kind, 'active');
    assert.deepEqual(store.snapshots.stat('work')?.labels, { purpose: 'test' });
    assert.equal(store.snapshots.stat('look')?.kind, 'view');
    assert.equal(store.snapshots.stat(chain)?.kind, 'committed');
    assert.equal(store.snapshots.stat('none'), undefined);
    assert.equal([...store.snapshots.walk()].length, 4);
  });

  test('are mounted over their stack, views read-only', async () => {
    const chain = await commit('base', 'top');
    const stack = store.layers.stack(chain);
    await store.snapshots.prepare('work', chain);
    await store.snapshots.view('look', chain);
    const id = store.metadata.snapshots.get('work')?.id as string;
    assert.deepEqual(await store.snapshots.mounts('work'), [{ type: 'fake', source: id, options: [...stack, 'rw'] }]);
    for (const key of ['look', chain]) {
      assert.deepEqual(await store.snapshots.mounts(key), [
        { type: 'fake', source: 'view', options: [...stack, 'ro'] },
      ]);
    }
  });

  test('can be made over nothing', async () => {
    await store.snapshots.prepare('empty', undefined);
    assert.deepEqual(driver.present.get(store.metadata.snapshots.get('empty')?.id as string), []);
  });

  test('need a name that is free and a parent that is there', async () => {
    const chain = await commit('base');
    await store.snapshots.prepare('work', chain);
    await assert.rejects(store.snapshots.prepare('work', chain), refuses('ALREADY_EXISTS'));
    await assert.rejects(store.snapshots.view('work', chain), refuses('ALREADY_EXISTS'));
    await assert.rejects(store.snapshots.prepare('other', asChainID(digestOf('none'))), refuses('NOT_FOUND'));
    assert.equal(driver.present.size, 2);
  });

  test('with children, a mount or a container are not removed', async () => {
    const chain = await commit('base');
    await store.snapshots.prepare('work', chain);
    await assert.rejects(store.snapshots.remove(chain), refuses('IN_USE'));
    store.metadata.mounts.put({ name: 'work', target: '/x', readOnly: false, image: 'i', createdAt: 1 });
    await assert.rejects(store.snapshots.remove('work'), refuses('IN_USE'));
    store.metadata.mounts.delete('work');
    store.metadata.containers.put({ id: 'c', name: 'web', snapshot: 'work', image: 'i', labels: {}, createdAt: 1 });
    await assert.rejects(store.snapshots.remove('work'), refuses('IN_USE'));
    store.metadata.containers.delete('c');
    await store.snapshots.remove('work');
    await store.snapshots.remove(chain);
    await assert.rejects(store.snapshots.remove('work'), refuses('NOT_FOUND'));
  });

  test('whose directory cannot be made leave no row', async () => {
    const chain = await commit('base');
    driver.failure = new Error('broken');
    await assert.rejects(store.snapshots.prepare('work', chain));
    assert.equal(store.snapshots.stat('work'), undefined);
  });

  test('tell what they take', async () => {
    const chain = await commit('base');
    await store.snapshots.prepare('work', chain);
    await store.snapshots.view('look', chain);
    assert.deepEqual(await store.snapshots.usage('work'), { bytes: 4096, inodes: 2 });
    assert.deepEqual(await store.snapshots.usage(chain), { bytes: 4096, inodes: 2 });
    assert.deepEqual(await store.snapshots.usage('look'), { bytes: 0, inodes: 0 });
  });
});
