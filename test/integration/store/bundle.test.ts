/** A bundle that somebody began and died over is completed by the next one; a whole one is left alone. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bundleImage } from '../../../src/containers/bundle.ts';
import { buildImage } from '../../../src/images/build.ts';
import { listMounts, mountImage, unmountImage } from '../../../src/images/mount.ts';
import { unmount } from '../../../src/mounts/unmount.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { kernel, requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const RUN = { command: ['true'] };

async function begun(t: TestContext) {
  const directory = tempDir('bundle');
  const store = await openTestStore({ root: join(directory.path, 'store') });
  t.after(async () => {
    for (const { name } of await listMounts(store)) await unmountImage(store, name);
    await checkStore(store);
    await store[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });
  await buildImage(store, parseReference('image:1'), { layers: [{ files: { one: '1' } }] });
  const bundle = join(directory.path, 'bundle');
  const rootfs = join(bundle, 'rootfs');
  const { name } = await mountImage(store, 'image:1', { target: rootfs });
  return { store, bundle, rootfs, name };
}

test('mounted, and no config yet', async (t) => {
  if (!requires(t, root, kernel(6, 12))) return;
  const { store, bundle, rootfs, name } = await begun(t);
  assert.equal((await bundleImage(store, 'image:1', bundle, RUN)).mount, name);
  assert.equal(JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')).root.path, rootfs);
  assert.equal((await listMounts(store)).length, 1);
  await assert.rejects(bundleImage(store, 'image:1', bundle, RUN), { code: 'ALREADY_EXISTS' });
});

test('recorded, and not mounted yet or no more', async (t) => {
  if (!requires(t, root, kernel(6, 12))) return;
  const { store, bundle, rootfs, name } = await begun(t);
  unmount(rootfs, { stages: store.paths.stages });
  assert.equal((await bundleImage(store, 'image:1', bundle, RUN)).mount, name);
  assert.ok(existsSync(join(rootfs, 'one')));
});
