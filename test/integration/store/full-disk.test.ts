/** A full disk: one clear error, nothing left over, and the same pull works when there is room. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { freeBytes } from '../../../src/blobs/space.ts';
import { isTslayerError } from '../../../src/errors.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { addImage, type Files } from '../../support/memory-images.ts';
import { kernel, requires } from '../../support/requires.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const MIB = 1024 * 1024;

interface Scene {
  readonly layers: readonly Files[];
  readonly form: 'gzip' | 'none';
  /** Bytes left free for the pull. */
  readonly room: number;
}

const SCENES: Readonly<Record<string, Scene>> = {
  'before a byte is fetched': { layers: [{ big: randomBytes(20 * MIB) }], form: 'none', room: 10 * MIB },
  'while a layer is unpacked that was small as a blob': {
    layers: [{ 'etc/motd': 'hello' }, { zeros: Buffer.alloc(40 * MIB) }],
    form: 'gzip',
    room: 20 * MIB,
  },
  'while blobs and layers together fill it': {
    layers: [{ a: randomBytes(6 * MIB) }, { b: randomBytes(6 * MIB) }, { c: randomBytes(6 * MIB) }],
    form: 'none',
    room: 24 * MIB,
  },
};

async function publish(registry: LayoutRegistry, { layers, form }: Scene): Promise<Descriptor> {
  const { root } = await addImage(registry.content, layers, { form });
  registry.publish({ 'app:1': root });
  return root;
}

for (const driver of ['erofs', 'overlayfs', 'vfs']) {
  describe(`a disk that is full, ${driver}`, () => {
    for (const [when, scene] of Object.entries(SCENES)) {
      test(when, async (t) => {
        if (!requires(t, () => cannotLoop('ext4'), kernel(6, 12))) return;
        await using registry = await layoutRegistry();
        await publish(registry, scene);
        const name = `${registry.host}/app:1`;
        using disk = loopFs('ext4', 128, ['-m', '0']);
        await using store = await openTestStore({ root: `${disk.path}/store`, driver });
        const ballast = `${disk.path}/ballast`;
        writeFileSync(ballast, Buffer.alloc(freeBytes(disk.path) - scene.room));
        await assert.rejects(pullFrom(store, name), (error) => {
          assert.ok(isTslayerError(error, 'NO_SPACE'), String(error));
          assert.ok(error.message.split('\n').length === 1);
          return true;
        });
        await checkEmpty(store);
        assert.ok(freeBytes(disk.path) > scene.room - 2 * MIB, 'the room is free again');
        rmSync(ballast);
        assert.equal((await pullFrom(store, name)).status, 'new');
        await checkStore(store);
      });
    }
  });
}

test('a store on a disk without any room says so when it is opened or written', async (t) => {
  if (!requires(t, () => cannotLoop('ext4'))) return;
  using disk = loopFs('ext4', 32, ['-m', '0']);
  writeFileSync(`${disk.path}/ballast`, Buffer.alloc(freeBytes(disk.path) - 16 * 1024));
  await assert.rejects(
    (async () => {
      await using _store = await openTestStore({ root: `${disk.path}/store` });
    })(),
    (error) => isTslayerError(error, 'NO_SPACE'),
  );
});
