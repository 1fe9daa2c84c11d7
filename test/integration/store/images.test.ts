import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { dropRootfs, prepareRootfs } from '../../../src/images/container-rootfs.ts';
import { diskUsage } from '../../../src/images/df.ts';
import { findImage } from '../../../src/images/find.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { imageHistory, inspectImage } from '../../../src/images/inspect.ts';
import { listImages } from '../../../src/images/list.ts';
import { listMounts, mountImage, unmountImage } from '../../../src/images/mount.ts';
import { listPins, pinImage, unpinImage } from '../../../src/images/pins.ts';
import { previewRemoval, removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { tagImage } from '../../../src/images/tag.ts';
import { unmount } from '../../../src/mounts/unmount.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, type MemoryImage } from '../../support/memory-images.ts';
import { kernel, requires, root } from '../../support/requires.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

let directory: TempDir;
let registry: LayoutRegistry;
let store: OpenStore;
let first: MemoryImage;
let second: MemoryImage;
let one: string;
let two: string;

beforeEach(async () => {
  directory = tempDir('images');
  registry = await layoutRegistry();
  store = await openTestStore({ root: `${directory.path}/store` });
  const base = { 'etc/motd': 'hello', 'bin/tool': 'x'.repeat(10_000) };
  first = await addImage(registry.content, [base, { one: '1' }]);
  second = await addImage(registry.content, [base, { two: '22' }]);
  registry.publish({ 'app:1': first.root, 'app:2': second.root });
  one = `${registry.host}/app:1`;
  two = `${registry.host}/app:2`;
  await pullFrom(store, one);
  await pullFrom(store, two);
});

afterEach(async () => {
  for (const mount of await listMounts(store)) unmount(mount.target, { stages: store.paths.stages, detach: true });
  await store[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

function refuses(code: Parameters<typeof isTslayerError>[1], pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTslayerError(error), String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}

describe('finding an image', () => {
  test('by name, by digest of its repository, by id and the beginning of one', () => {
    const id = first.config.digest;
    for (const text of [one, `${registry.host}/app@${first.root.digest}`, id, id.slice(7), id.slice(7, 19)]) {
      assert.equal(findImage(store, text).manifest, first.root.digest, text);
    }
  });

  test('fails with names that are alike', () => {
    assert.throws(
      () => findImage(store, 'app:3'),
      (error) => isTslayerError(error, 'NOT_FOUND') && error.hint?.includes(one) === true,
    );
  });

  test('fails for the digest in another repository', () => {
    assert.throws(() => findImage(store, `other@${first.root.digest}`), refuses('NOT_FOUND', /no image/));
  });
});

test('images lists names with what they are', () => {
  const [summary] = listImages(store);
  assert.equal(summary?.name, one);
  assert.equal(summary?.id, first.config.digest);
  assert.equal(summary?.layers, 2);
  assert.equal(
    summary?.compressedBytes,
    [first.config, ...first.layers].reduce((sum, { size }) => sum + size, 0),
  );
  assert.ok((summary?.unpackedBytes ?? 0) > 10_000);
});

test('inspect tells where each layer is; history pairs steps with layers', async () => {
  const details = await inspectImage(store, one);
  assert.deepEqual(
    details.layers.map(({ diffId, hasBlob, id }) => [diffId, hasBlob, id !== null]),
    first.diffIDs.map((diffId) => [diffId, true, true]),
  );
  assert.deepEqual(details.config?.config.Cmd, ['/bin/sh']);
  const history = await imageHistory(store, one);
  assert.deepEqual(
    history.map((item) => item.layer),
    first.layers.map((layer) => layer.digest).reverse(),
  );
});

describe('tag', () => {
  test('adds a name that holds the image when the first one goes', async () => {
    assert.equal(await tagImage(store, one, 'mine'), 'mine:latest');
    await removeImages(store, [one]);
    assert.equal(findImage(store, 'mine').manifest, first.root.digest);
    await checkStore(store);
  });

  test('refuses a digest as the new name', async () => {
    await assert.rejects(tagImage(store, one, `x@${first.root.digest}`), refuses('INVALID_REFERENCE', /digest/));
  });
});

describe('rmi', () => {
  test('removes what only that image has', async () => {
    const removal = await removeImages(store, [one]);
    assert.deepEqual(removal.untagged, [one]);
    assert.equal(store.metadata.layers.list().length, 2);
    assert.equal(store.metadata.blobs.has(first.layers[0]!.digest), true);
    assert.equal(store.metadata.blobs.has(first.layers[1]!.digest), false);
    assert.equal(store.blobs.stat(first.layers[1]!.digest), undefined);
    await checkStore(store);
    await removeImages(store, [two]);
    await checkEmpty(store);
  });

  test('removes all or none', async () => {
    await assert.rejects(removeImages(store, [one, 'nothing']), refuses('NOT_FOUND', /nothing/));
    assert.equal(listImages(store).length, 2);
  });

  test('by an id takes all names only when forced', async () => {
    await tagImage(store, one, 'mine');
    const id = first.config.digest;
    await assert.rejects(removeImages(store, [id]), refuses('IN_USE', /several names: .*mine/));
    const removal = await removeImages(store, [id], { force: true });
    assert.equal(removal.untagged.length, 2);
    await checkStore(store);
  });

  test('is foretold by a preview that changes nothing', async () => {
    const preview = await previewRemoval(store, [one]);
    assert.equal(listImages(store).length, 2);
    await checkStore(store);
    assert.deepEqual(await removeImages(store, [one]), preview);
    assert.ok(preview.freedBytes > 0);
  });

  test('refuses what a container is made of, naming it', async () => {
    await prepareRootfs(store, one, { id: 'c0ffee', name: 'web' });
    await assert.rejects(removeImages(store, [one], { force: true }), refuses('IN_USE', /container web/));
    await dropRootfs(store, 'c0ffee');
    await dropRootfs(store, 'c0ffee');
    await removeImages(store, [one]);
    await checkStore(store);
  });
});

describe('mount', () => {
  const needs = [root, kernel(6, 12)];

  test('shows the image writable; two mounts see none of each other', async (t) => {
    if (!requires(t, ...needs)) return;
    const a = await mountImage(store, one, { name: 'a' });
    const b = await mountImage(store, one);
    assert.equal(a.target, `${store.paths.mounts}/a`);
    assert.match(b.name, /^app-[0-9a-f]{4}$/);
    assert.equal(readFileSync(join(a.target, 'etc/motd'), 'utf8'), 'hello');
    writeFileSync(join(a.target, 'etc/motd'), 'changed');
    assert.equal(readFileSync(join(b.target, 'etc/motd'), 'utf8'), 'hello');
    assert.deepEqual((await listMounts(store)).map(({ name, state }) => [name, state]).sort(), [
      ['a', 'mounted'],
      [b.name, 'mounted'],
    ]);
    await unmountImage(store, 'a');
    await unmountImage(store, b.target);
    assert.equal(existsSync(a.target), false);
    await checkStore(store);
  });

  test('read-only takes no writes', async (t) => {
    if (!requires(t, ...needs)) return;
    const mount = await mountImage(store, one, { readOnly: true });
    assert.equal(readFileSync(join(mount.target, 'one'), 'utf8'), '1');
    assert.throws(() => writeFileSync(join(mount.target, 'one'), 'x'), /EROFS/);
    await unmountImage(store, mount.name);
    await checkStore(store);
  });

  test('at a target of the caller, who keeps the directory', async (t) => {
    if (!requires(t, ...needs)) return;
    const target = `${directory.path}/here`;
    const mount = await mountImage(store, one, { target, name: 'x' });
    assert.equal(readFileSync(join(target, 'one'), 'utf8'), '1');
    await assert.rejects(mountImage(store, two, { target }), refuses('ALREADY_EXISTS', /x is mounted/));
    await unmountImage(store, mount.target);
    assert.equal(existsSync(target), true);
    assert.deepEqual(store.metadata.snapshots.writable(), []);
  });

  test('umount --keep keeps what was written, mounting by the name shows it again', async (t) => {
    if (!requires(t, ...needs)) return;
    const mount = await mountImage(store, one, { name: 'work' });
    writeFileSync(join(mount.target, 'note'), 'kept');
    await unmountImage(store, 'work', { keep: true });
    await assert.rejects(mountImage(store, two, { name: 'work' }), refuses('ALREADY_EXISTS', /taken/));
    await mountImage(store, one, { name: 'work' });
    assert.equal(readFileSync(join(mount.target, 'note'), 'utf8'), 'kept');
    await assert.rejects(mountImage(store, one, { name: 'work' }), refuses('ALREADY_EXISTS', /taken/));
    await unmountImage(store, 'work');
    await checkStore(store);
  });

  test('that vanished is told, and can be taken away or mounted again', async (t) => {
    if (!requires(t, ...needs)) return;
    const mount = await mountImage(store, one, { name: 'work' });
    unmount(mount.target, { stages: store.paths.stages });
    assert.deepEqual(
      (await listMounts(store)).map(({ state }) => state),
      ['gone'],
    );
    await mountImage(store, one, { name: 'work' });
    unmount(mount.target, { stages: store.paths.stages });
    await unmountImage(store, 'work');
    await checkStore(store);
  });

  test('keeps the image from rmi, which names it', async (t) => {
    if (!requires(t, ...needs)) return;
    await mountImage(store, one, { name: 'work' });
    await assert.rejects(removeImages(store, [one]), refuses('IN_USE', /mounted at .*\/mounts\/work/));
    await tagImage(store, one, 'mine');
    await removeImages(store, [one]);
    await unmountImage(store, 'work');
  });

  test('refuses names that would leave the directory', async () => {
    for (const name of ['../x', '.x', 'a/b', '']) {
      await assert.rejects(mountImage(store, one, { name }), refuses('INVALID_ARGUMENT', /not a name/));
    }
    assert.deepEqual(store.metadata.snapshots.writable(), []);
  });

  test('of something unknown is refused', async () => {
    await assert.rejects(unmountImage(store, 'nothing'), refuses('NOT_FOUND', /nothing/));
  });
});

describe('df', () => {
  test('tells shared from unique, and sums up without counting twice', async () => {
    const usage = await diskUsage(store);
    const [a, b] = usage.images;
    assert.ok(a && b);
    assert.equal(a.layers.shared.bytes, b.layers.shared.bytes);
    assert.ok(a.layers.shared.bytes >= 10_000);
    assert.equal(usage.layers.bytes, a.layers.shared.bytes + a.layers.unique.bytes + b.layers.unique.bytes);
    assert.equal(usage.blobs.bytes, a.blobs.shared.bytes + a.blobs.unique.bytes + b.blobs.unique.bytes);
    assert.equal(usage.reclaimableBytes, 0);
    assert.equal(
      usage.naiveBytes,
      usage.blobs.bytes + usage.layers.bytes + a.layers.shared.bytes + a.blobs.shared.bytes,
    );
  });

  test('what a mount is made of is not reclaimable', async () => {
    await prepareRootfs(store, one, { id: 'c0ffee', name: 'web' });
    const usage = await diskUsage(store);
    const image = usage.images.find(({ names }) => names.includes(one));
    assert.deepEqual(image?.usedBy, ['container web']);
    assert.deepEqual(image?.reclaimable, { bytes: 0, inodes: 0 });
    assert.equal(usage.snapshots[0]?.usedBy, 'container web');
  });
});

describe('gc', () => {
  test('finds nothing when everything is held', async () => {
    const report = await collectGarbage(store);
    assert.deepEqual(report.removed, []);
    assert.equal(listImages(store).length, 2);
    await checkStore(store);
  });

  test('collects what a moved tag left; a dry run says so and does nothing', async () => {
    registry.publish({ 'app:1': second.root });
    await pullFrom(store, one);
    const dry = await collectGarbage(store, { dryRun: true });
    assert.ok(dry.removed.some(({ key }) => key === first.layers[1]!.digest));
    assert.ok(store.metadata.blobs.has(first.layers[1]!.digest));
    const kept = dry.kept.find(({ key }) => key === second.layers[1]!.digest);
    assert.match(kept?.because ?? '', /image .*app:/);
    const real = await collectGarbage(store);
    assert.deepEqual(
      real.removed.map(({ key }) => key),
      dry.removed.map(({ key }) => key),
    );
    assert.equal(store.metadata.layers.list().length, 2);
    await checkStore(store);
  });

  test('with a maximum removes the least recently used, but nothing in use', async () => {
    store.metadata.images.touch(one, 1);
    const { leftBytes } = await collectGarbage(store, { dryRun: true });
    const report = await collectGarbage(store, { maxBytes: leftBytes - 1 });
    assert.deepEqual(report.untagged, [one]);
    await prepareRootfs(store, two, { id: 'c0ffee', name: 'web' });
    const again = await collectGarbage(store, { maxBytes: 0 });
    assert.deepEqual(again.untagged, []);
    assert.equal(listImages(store).length, 1);
    await dropRootfs(store, 'c0ffee');
    await collectGarbage(store, { maxBytes: 0 });
    await checkEmpty(store);
  });

  test('keeps what a lease holds', async () => {
    const digest = first.layers[1]!.digest;
    store.metadata.transaction(() => {
      store.metadata.leases.put({ id: 'pin', session: null, purpose: 'pinned', createdAt: 1, expiresAt: null });
      store.metadata.leases.addRefs('pin', [{ kind: 'blob', key: digest }]);
    });
    await removeImages(store, [one]);
    await collectGarbage(store);
    assert.equal(store.metadata.blobs.has(digest), true);
    assert.notEqual(store.blobs.stat(digest), undefined);
    store.metadata.transaction(() => store.metadata.leases.delete('pin'));
    await collectGarbage(store);
    assert.equal(store.metadata.blobs.has(digest), false);
    await checkStore(store);
  });

  test('keeps what is pinned, whatever becomes of its names', async () => {
    pinImage(store, one, 'mine');
    assert.throws(() => pinImage(store, one, 'mine'), refuses('ALREADY_EXISTS', /pin mine/));
    await removeImages(store, [one, two]);
    await collectGarbage(store, { maxBytes: 0 });
    assert.equal(store.metadata.layers.list().length, 2);
    assert.deepEqual(
      listPins(store).map(({ name, manifest }) => [name, manifest]),
      [['mine', first.root.digest]],
    );
    unpinImage(store, 'mine');
    await collectGarbage(store);
    await checkEmpty(store);
  });

  test('removes what no row knows', async () => {
    const { digest } = await store.blobs.put(first.config.digest, await store.blobs.read(first.config.digest));
    await removeImages(store, [one]);
    await store.blobs.put(digest, Buffer.from(registry.content.blobs.get(digest)!));
    writeFileSync(join(store.paths.indexes, 'stray'), 'x');
    writeFileSync(join(store.paths.ingest, `sha256-${'0'.repeat(64)}`), 'partial');
    const report = await collectGarbage(store);
    assert.deepEqual(report.removed.map(({ kind }) => kind).sort(), ['blob', 'file', 'partial']);
    await checkStore(store);
  });
});
