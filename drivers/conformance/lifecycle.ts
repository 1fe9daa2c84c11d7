/** How layers and snapshots come and go, also when things go wrong. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isTslayerError } from '../../src/errors.ts';
import { unmount } from '../../src/mounts/unmount.ts';
import { encodeLayer, type LayerItem } from './encode.ts';
import { dir, file, whiteout } from './items.ts';
import { type Kit, sharedUnpacker } from './kit.ts';
import type { Part } from './suite.ts';

async function listed(kit: Kit): Promise<string[]> {
  const ids: string[] = [];
  for await (const id of kit.driver.list()) ids.push(id);
  return ids.sort();
}

/** Everything that lies in the driver's directory, the driver's own furniture of a fresh store aside. */
function names(kit: Kit): string[] {
  return readdirSync(join(kit.directory, 'layers')).sort();
}

export const lifecycle: Part = {
  async 'an aborted layer leaves nothing, however far it got'(kit) {
    const fresh = names(kit);
    const untouched = await kit.driver.apply('a1', [], { durable: false });
    await untouched.abort();
    await untouched.abort();
    const written = await kit.driver.apply('a2', [], { durable: false });
    const source = encodeLayer([dir('d'), file('d/f', 'x'), whiteout('gone')]);
    await sharedUnpacker().unpack({ source, size: 0, sink: written.sink });
    await written.abort();
    await assert.rejects(kit.layer([file('f', 'x'), file('f/below', '')], [], 'a3'));
    assert.deepEqual(names(kit), fresh);
    assert.deepEqual(await listed(kit), []);
    await kit.layer([file('x')], [], 'a2');
    assert.deepEqual(await listed(kit), ['a2']);
  },

  async 'a layer whose bytes stop coming leaves nothing'(kit) {
    const fresh = names(kit);
    const items = async function* (): AsyncGenerator<LayerItem> {
      yield dir('d');
      yield file('d/f', Buffer.alloc(1_000_000, 'x'));
      throw new Error('the network is gone');
    };
    await assert.rejects(kit.layer(items(), [], 'a1'), /the network is gone/);
    assert.deepEqual(names(kit), fresh);
    await kit.layer([file('f')], [], 'a1');
  },

  async 'a layer is not there before it is committed'(kit) {
    const application = await kit.driver.apply('a1', [], { durable: true });
    const source = encodeLayer([file('f', 'x')]);
    const { result } = await sharedUnpacker().unpack({ source, size: 0, sink: application.sink });
    assert.deepEqual(await listed(kit), []);
    await application.commit(result);
    assert.deepEqual(await listed(kit), ['a1']);
    assert.equal((await kit.view(['a1'])).length, 2);
  },

  async 'opening the store again does not disturb a layer that is being written'(kit) {
    const application = await kit.driver.apply('a1', [], { durable: false });
    await kit.reopen();
    const source = encodeLayer([file('f', 'x')]);
    const { result } = await sharedUnpacker().unpack({ source, size: 0, sink: application.sink });
    await application.commit(result);
    assert.deepEqual(await listed(kit), ['a1']);
  },

  async 'a layer is not written twice at a time'(kit) {
    const first = await kit.driver.apply('a1', [], { durable: false });
    await assert.rejects(kit.driver.apply('a1', [], { durable: false }), { code: 'IN_USE' });
    await first.abort();
    await kit.layer([], [], 'a1');
  },

  async 'a snapshot over a parent that is not there is NOT_FOUND and leaves nothing'(kit) {
    const fresh = names(kit);
    await assert.rejects(kit.driver.prepare('s1', ['missing1']), { code: 'NOT_FOUND' });
    assert.deepEqual(names(kit), fresh);
  },

  async 'ids that would lead out of the directory are refused'(kit) {
    for (const id of ['..', 'a/b', '', 'A', 'x'.repeat(17), '.empty']) {
      await assert.rejects(async () => kit.driver.prepare(id, []), { code: 'INVALID_ARGUMENT' }, id);
    }
  },

  async 'removing takes the name away at once, and twice is no error'(kit) {
    const fresh = names(kit);
    const [id] = await kit.layer([dir('d'), file('d/f', 'x')]);
    const snapshot = await kit.snapshot([id]);
    assert.deepEqual(await listed(kit), [id, snapshot].sort());
    const removal = kit.driver.remove(snapshot);
    assert.deepEqual(await listed(kit), [id]);
    await removal;
    await kit.driver.remove(snapshot);
    await kit.driver.remove(id);
    await kit.driver.remove('never1');
    assert.deepEqual(names(kit), fresh);
  },

  async 'removing what is mounted is refused, or does the mount no harm'(kit) {
    const [layer] = await kit.layer([dir('d'), file('d/f', 'content')]);
    const { id, path } = await kit.work([layer]);
    writeFileSync(join(path, 'own'), 'mine');
    for (const used of [layer, id]) {
      try {
        await kit.driver.remove(used);
      } catch (error) {
        assert.ok(isTslayerError(error, 'IN_USE'), String(error));
      }
    }
    assert.equal(readFileSync(join(path, 'd/f'), 'utf8'), 'content');
    assert.equal(readFileSync(join(path, 'own'), 'utf8'), 'mine');
    kit.unmount(path);
    for (const id of await listed(kit)) await kit.driver.remove(id);
    assert.deepEqual(await listed(kit), []);
  },

  async 'one writable snapshot is mounted in one place only'(kit) {
    const stack = await kit.stack([file('f', 'x')]);
    const { id } = await kit.work(stack);
    try {
      await kit.mount(id, stack);
      const mounts = await kit.driver.mounts(id, stack, {});
      assert.ok(
        mounts.every(({ type }) => type === 'bind'),
        'a union would write to it twice',
      );
    } catch (error) {
      assert.ok(isTslayerError(error, 'IN_USE'), String(error));
    }
  },

  async 'a snapshot whose mount was lost in a crash is mounted again, with what was written'(kit) {
    const stack = await kit.stack([file('f', 'x')]);
    const { id, path } = await kit.work(stack);
    writeFileSync(join(path, 'f'), 'written');
    const held = openSync(join(path, 'f'), 'r');
    unmount(path, { detach: true });
    closeSync(held);
    await kit.reopen();
    assert.equal(readFileSync(join(await kit.mount(id, stack), 'f'), 'utf8'), 'written');
  },

  async 'sixteen snapshots of one parent at once'(kit) {
    const stack = await kit.stack([dir('d'), file('d/f', 'x')]);
    const ids = await Promise.all(Array.from({ length: 16 }, () => kit.snapshot(stack)));
    const paths = await Promise.all(ids.map((id) => kit.mount(id, stack)));
    for (const [at, path] of paths.entries()) writeFileSync(join(path, 'd/f'), `${at}`);
    assert.deepEqual(
      paths.map((path) => readFileSync(join(path, 'd/f'), 'utf8')),
      paths.map((_, at) => `${at}`),
    );
    for (const [at, id] of ids.entries()) assert.ok((await kit.changes(id, stack)).includes('~ d/f'), `${at}`);
  },

  async 'sixteen layers over one parent at once, and one of sixteen that want the same name'(kit) {
    const stack = await kit.stack([dir('d'), file('d/f', 'x')]);
    const stacks = await Promise.all(
      Array.from({ length: 16 }, (_, at) => kit.layer([dir('d'), file(`d/${at}`, `${at}`)], stack)),
    );
    for (const [at, made] of stacks.entries()) {
      const paths = (await kit.view(made)).map(({ path }) => path);
      assert.deepEqual(paths, ['', 'd', ...[`d/${at}`, 'd/f'].sort()]);
    }
    const wanted = await Promise.allSettled(Array.from({ length: 16 }, () => kit.driver.prepare('same1', stack)));
    const refused = wanted.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 15);
    for (const { reason } of refused) {
      assert.ok(isTslayerError(reason, 'IN_USE') || isTslayerError(reason, 'ALREADY_EXISTS'), String(reason));
    }
    assert.equal(readFileSync(join(await kit.mount('same1', stack), 'd/f'), 'utf8'), 'x');
  },

  async 'usage grows with what is written'(kit) {
    const stack = await kit.stack([file('f', 'x')]);
    const { id, path } = await kit.work(stack);
    const before = await kit.driver.usage(id);
    writeFileSync(join(path, 'big'), Buffer.alloc(1024 * 1024, 'x'));
    kit.unmount(path); // file systems that allocate late have done so then
    const after = await kit.driver.usage(id);
    assert.ok(after.bytes >= before.bytes + 1024 * 1024, `${before.bytes} → ${after.bytes}`);
    assert.equal(after.inodes, before.inodes + 1);
    const layer = await kit.driver.usage(stack[0]!);
    assert.ok(layer.bytes > 0 && layer.inodes > 0);
  },
};
