import assert from 'node:assert/strict';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { pullImage } from '../../../src/images/pull/pull.ts';
import { archiveSource } from '../../../src/images/pull/source.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { asDiffID, digestOf } from '../../../src/oci/digest.ts';
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parsePlatform } from '../../../src/oci/platform.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, addIndex, tarOf } from '../../support/memory-images.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

let directory: TempDir;
let registry: LayoutRegistry;
let store: OpenStore;

beforeEach(async () => {
  directory = tempDir('pull');
  registry = await layoutRegistry();
  store = await openTestStore({ root: `${directory.path}/store` });
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

const base = { 'etc/motd': 'hello', 'bin/tool': 'x'.repeat(10_000) };

function reference(name: string): string {
  return `${registry.host}/${name}`;
}

function requestsSince(count: number): string[] {
  return registry.requests.slice(count).map(({ method, path }) => `${method} ${path.replace(/sha256:(.{4}).*/, '$1')}`);
}

describe('a pull', () => {
  test('stores, unpacks and names an image', async () => {
    const image = await addImage(registry.content, [base, { 'bin/app': 'app' }]);
    registry.publish({ 'app:1': image.root });
    const result = await pullFrom(store, reference('app:1'));
    assert.equal(result.status, 'new');
    assert.equal(result.digest, image.root.digest);
    assert.equal(result.imageId, image.config.digest);
    assert.equal(
      result.fetchedBytes,
      image.layers.reduce((sum, layer) => sum + layer.size, 0),
    );
    assert.equal(store.metadata.layers.list().length, 2);
    await checkStore(store);
  });

  test('of an image that is there makes one request', async () => {
    const image = await addImage(registry.content, [base]);
    registry.publish({ 'app:1': image.root });
    await pullFrom(store, reference('app:1'));
    const before = registry.requests.length;
    const result = await pullFrom(store, reference('app:1'));
    assert.equal(result.status, 'present');
    assert.deepEqual(requestsSince(before), ['HEAD /v2/app/manifests/1']);
  });

  test('by a digest that is there makes none', async () => {
    const image = await addImage(registry.content, [base]);
    registry.publish({ 'app:1': image.root });
    const name = reference(`app@${image.root.digest}`);
    await pullFrom(store, name);
    const before = registry.requests.length;
    assert.equal((await pullFrom(store, name)).status, 'present');
    assert.deepEqual(requestsSince(before), []);
  });

  test('of an image that shares layers fetches only what is new', async () => {
    const first = await addImage(registry.content, [base, { one: '1' }]);
    const second = await addImage(registry.content, [base, { two: '2' }]);
    registry.publish({ 'app:1': first.root, 'app:2': second.root });
    await pullFrom(store, reference('app:1'));
    const result = await pullFrom(store, reference('app:2'));
    assert.equal(result.fetchedBytes, second.layers[1]?.size);
    assert.equal(store.metadata.layers.list().length, 3);
    await checkStore(store);
  });

  test('of a second name for the same image fetches its manifest at most', async () => {
    const image = await addImage(registry.content, [base]);
    registry.publish({ 'app:1': image.root, 'app:2': image.root });
    await pullFrom(store, reference('app:1'));
    const before = registry.requests.length;
    const result = await pullFrom(store, reference('app:2'));
    assert.equal(result.fetchedBytes, 0);
    assert.deepEqual(requestsSince(before), ['GET /v2/app/manifests/2']);
    await checkStore(store);
  });

  test('moves a tag that moved, and keeps the old content until it is collected', async () => {
    const first = await addImage(registry.content, [base, { one: '1' }]);
    const second = await addImage(registry.content, [base, { two: '2' }]);
    registry.publish({ 'app:1': first.root });
    await pullFrom(store, reference('app:1'));
    registry.publish({ 'app:1': second.root });
    const result = await pullFrom(store, reference('app:1'));
    assert.equal(result.status, 'updated');
    assert.equal(store.metadata.images.list()[0]?.manifest, second.root.digest);
    assert.equal(store.metadata.layers.list().length, 3);
    await checkStore(store);
  });

  for (const form of ['gzip', 'zstd', 'none'] as const) {
    test(`unpacks ${form} layers, and a layer is the same in any compression`, async () => {
      const plain = await addImage(registry.content, [base], { form: 'none' });
      const packed = await addImage(registry.content, [base], { form, cmd: [form] });
      registry.publish({ 'app:plain': plain.root, 'app:packed': packed.root });
      await pullFrom(store, reference('app:plain'));
      await pullFrom(store, reference('app:packed'));
      assert.equal(store.metadata.layers.list().length, 1);
      assert.equal(store.metadata.images.list().length, 2);
      await checkStore(store);
    });
  }

  test('unpacks a layer that is in the image several times once', async () => {
    const image = await addImage(registry.content, [base, { x: '' }, base, { x: '' }]);
    registry.publish({ 'app:1': image.root });
    await pullFrom(store, reference('app:1'));
    assert.equal(store.metadata.layers.list().length, 2);
    assert.equal(store.metadata.snapshots.list().length, 4);
    await checkStore(store);
  });

  test('takes an image without layers', async () => {
    const image = await addImage(registry.content, []);
    registry.publish({ 'app:1': image.root });
    assert.equal((await pullFrom(store, reference('app:1'))).unpacked, true);
    assert.equal((await pullFrom(store, reference('app:1'))).status, 'present');
    await checkStore(store);
  });

  test('with --no-unpack stores blobs only; unpacking later fetches nothing', async () => {
    const image = await addImage(registry.content, [base, { more: 'x' }]);
    registry.publish({ 'app:1': image.root });
    const result = await pullFrom(store, reference('app:1'), { unpack: false });
    assert.equal(result.unpacked, false);
    assert.equal(store.metadata.layers.list().length, 0);
    await checkStore(store);
    const again = await pullFrom(store, reference('app:1'));
    assert.equal(again.unpacked, true);
    assert.equal(again.fetchedBytes, 0);
    assert.equal(store.metadata.layers.list().length, 2);
    // And back: asking for less than is there changes nothing.
    assert.equal((await pullFrom(store, reference('app:1'), { unpack: false })).status, 'present');
    await checkStore(store);
  });

  test('with keepBlobs = false drops compressed layers once they are unpacked', async () => {
    await store[Symbol.asyncDispose]();
    store = await openTestStore({ root: `${directory.path}/store`, config: { keepBlobs: false } });
    const image = await addImage(registry.content, [base]);
    registry.publish({ 'app:1': image.root, 'app:2': image.root });
    await pullFrom(store, reference('app:1'));
    assert.equal(store.metadata.blobs.has(image.layers[0]!.digest), false);
    assert.equal(store.blobs.stat(image.layers[0]!.digest), undefined);
    assert.equal((await pullFrom(store, reference('app:1'))).status, 'present');
    assert.equal((await pullFrom(store, reference('app:2'))).fetchedBytes, 0);
    assert.deepEqual(store.metadata.garbage.list(), []);
  });

  test('tells what it does', async () => {
    const image = await addImage(registry.content, [base]);
    registry.publish({ 'app:1': image.root });
    const events: ProgressEvent[] = [];
    await pullFrom(store, reference('app:1'), {}, { onProgress: (event) => events.push(event) });
    const steps = events.map((event) => event.type);
    assert.deepEqual(
      steps.filter((type, i) => type !== steps[i - 1]),
      ['resolved', 'plan', 'transfer', 'unpack', 'layer'],
    );
    const { digest, size } = image.layers[0]!;
    assert.deepEqual(events.at(1), { type: 'plan', layers: [{ digest, size, present: false }], totalBytes: size });
    assert.deepEqual(events.at(-1), { type: 'layer', digest, state: 'done', bytes: size });
  });
});

describe('an index', () => {
  async function publishIndex(): Promise<{ index: Descriptor; amd64: Descriptor; arm64: Descriptor }> {
    const amd = await addImage(registry.content, [base, { arch: 'amd64' }]);
    const arm = await addImage(registry.content, [{ arch: 'arm64' }], { platform: parsePlatform('linux/arm64') });
    const index = addIndex(registry.content, [
      [parsePlatform('linux/amd64'), amd.root],
      [parsePlatform('linux/arm64'), arm.root],
    ]);
    registry.publish({ 'app:1': index });
    return { index, amd64: amd.root, arm64: arm.root };
  }

  test('is narrowed by platform; the layout names the manifest that is there', async () => {
    const { index, arm64 } = await publishIndex();
    const result = await pullFrom(store, reference('app:1'), { platform: parsePlatform('linux/arm64') });
    assert.equal(result.digest, index.digest);
    assert.equal(result.manifest, arm64.digest);
    assert.equal(result.platform, 'linux/arm64');
    const layout = JSON.parse(readFileSync(store.paths.index, 'utf8'));
    assert.equal(layout.manifests[0].digest, arm64.digest);
    await checkStore(store);
  });

  test('with --all-platforms is kept whole; the layout names the index', async () => {
    const { index, amd64, arm64 } = await publishIndex();
    await pullFrom(store, reference('app:1'), { platform: parsePlatform('linux/amd64'), allPlatforms: true });
    for (const { digest } of [index, amd64, arm64]) assert.ok(store.metadata.blobs.has(digest));
    for (const { child } of store.metadata.blobs.refs(arm64.digest)) assert.ok(store.metadata.blobs.has(child));
    assert.equal(store.metadata.layers.list().length, 2);
    const layout = JSON.parse(readFileSync(store.paths.index, 'utf8'));
    assert.equal(layout.manifests[0].digest, index.digest);
    await checkStore(store);
  });

  test('another platform of a name that is there is fetched, not taken for it', async () => {
    await publishIndex();
    await pullFrom(store, reference('app:1'), { platform: parsePlatform('linux/amd64') });
    const result = await pullFrom(store, reference('app:1'), { platform: parsePlatform('linux/arm64') });
    assert.equal(result.platform, 'linux/arm64');
    assert.ok(result.fetchedBytes > 0);
    await checkStore(store);
  });

  test('without the platform is refused, saying what it has', async () => {
    await publishIndex();
    await assert.rejects(
      pullFrom(store, reference('app:1'), { platform: parsePlatform('linux/riscv64') }),
      (error) => isTslayerError(error, 'UNSUPPORTED') && /linux\/amd64, linux\/arm64/.test(error.hint ?? ''),
    );
    await checkEmpty(store);
  });
});

describe('bad input leaves nothing behind', () => {
  async function refused(name: string, code: ErrorCode, pattern: RegExp = /./): Promise<void> {
    await assert.rejects(pullFrom(store, reference(name)), (error) => {
      assert.ok(isTslayerError(error), String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      return true;
    });
    await checkEmpty(store);
  }

  async function refusedArchive(manifest: object): Promise<void> {
    const root = registry.content.addJson(OCI_MANIFEST, manifest);
    const source = archiveSource(registry.content, root, 'memory');
    await assert.rejects(pullImage(store, { names: ['docker.io/library/app:1'], source }), (error) =>
      isTslayerError(error, 'MALFORMED'),
    );
    await checkEmpty(store);
  }

  async function publishApp(): Promise<Descriptor> {
    const image = await addImage(registry.content, [base, { 'bin/app': 'x'.repeat(5000) }]);
    registry.publish({ 'app:1': image.root });
    return image.layers[1]!;
  }

  test('an unknown image', () => refused('nothing:1', 'NOT_FOUND'));

  test('an unknown tag', async () => {
    await publishApp();
    await refused('app:2', 'NOT_FOUND');
  });

  test('a blob with a flipped byte', async () => {
    const path = registry.blobPath((await publishApp()).digest);
    const bytes = readFileSync(path);
    bytes[30]! ^= 1;
    writeFileSync(path, bytes);
    await refused('app:1', 'DIGEST_MISMATCH');
  });

  test('a blob with a flipped byte that still inflates', async () => {
    const path = registry.blobPath((await publishApp()).digest);
    const bytes = readFileSync(path);
    bytes[9]! ^= 1; // the operating system in gzip's header
    writeFileSync(path, bytes);
    await refused('app:1', 'DIGEST_MISMATCH');
  });

  test('a blob cut short', async () => {
    const { digest, size } = await publishApp();
    truncateSync(registry.blobPath(digest), size - 7);
    await refused('app:1', 'SIZE_MISMATCH');
  });

  test('a blob that is too long', async () => {
    const { digest } = await publishApp();
    writeFileSync(registry.blobPath(digest), Buffer.alloc(9), { flag: 'a' });
    await refused('app:1', 'SIZE_MISMATCH');
  });

  test('a blob that is missing', async () => {
    const { digest } = await publishApp();
    registry.content.blobs.delete(digest);
    rmSync(registry.blobPath(digest));
    await refused('app:1', 'NOT_FOUND');
  });

  test('a layer that is no tar', async () => {
    const bytes = Buffer.from('not a tar at all'.repeat(100));
    await publishLayer(bytes, digestOf(bytes));
    await refused('app:1', 'MALFORMED');
  });

  test('a wrong diffID', async () => {
    await publishLayer(await tarOf(base), digestOf('something else'));
    await refused('app:1', 'DIFF_ID_MISMATCH');
  });

  test('a wrong diffID, of a layer that another image has under its right one', async () => {
    const good = await addImage(registry.content, [base], { form: 'none' });
    registry.publish({ 'good:1': good.root });
    await pullFrom(store, reference('good:1'));
    await publishLayer(await tarOf(base), digestOf('something else'));
    await assert.rejects(pullFrom(store, reference('app:1')), (error) => isTslayerError(error, 'DIFF_ID_MISMATCH'));
    await checkStore(store);
    assert.equal(store.metadata.images.list().length, 1);
  });

  test('another blob under the diffID of a layer that is there', async () => {
    const good = await addImage(registry.content, [base], { form: 'none' });
    registry.publish({ 'good:1': good.root });
    await pullFrom(store, reference('good:1'));
    await publishLayer(await tarOf({ evil: 'yes' }), good.diffIDs[0]!);
    await assert.rejects(pullFrom(store, reference('app:1')), (error) => isTslayerError(error, 'DIFF_ID_MISMATCH'));
    await checkStore(store);
    assert.equal(store.metadata.images.list().length, 1);
  });

  test('a malformed manifest', async () => {
    // The embedded registry would not serve it: from an archive, then.
    await refusedArchive({ schemaVersion: 2, mediaType: OCI_MANIFEST, layers: 'many' });
  });

  test('a config with another number of layers than the manifest', async () => {
    const layer = registry.content.add(OCI_LAYER, await tarOf(base));
    await publishManifest([layer], []);
    await refused('app:1', 'MALFORMED', /1 layers .* 0 diffIDs/);
  });

  test('a manifest that is both image and index', async () => {
    await refusedArchive({ schemaVersion: 2, manifests: [], layers: [], config: {} });
  });

  test('a layer of an unknown media type, before anything large is fetched', async () => {
    const layer = registry.content.add('application/x-cat-picture', Buffer.alloc(1000));
    await publishManifest([layer], [layer.digest]);
    await refused('app:1', 'UNSUPPORTED', /cat-picture/);
    assert.ok(!registry.requests.some(({ path }) => path.includes(layer.digest)));
  });

  test('a layer that claims more bytes than the disk has', async () => {
    const layer = registry.content.add(OCI_LAYER, await tarOf(base));
    await publishManifest([{ ...layer, size: Number.MAX_SAFE_INTEGER }], [layer.digest]);
    await refused('app:1', 'NO_SPACE');
  });

  async function publishLayer(tar: Buffer, diffId: string): Promise<void> {
    await publishManifest([registry.content.add(OCI_LAYER, tar)], [diffId]);
  }

  async function publishManifest(layers: readonly Descriptor[], diffIds: readonly string[]): Promise<void> {
    const config = registry.content.addJson(OCI_CONFIG, {
      architecture: 'amd64',
      os: 'linux',
      rootfs: { type: 'layers', diff_ids: diffIds.map(asDiffID) },
    });
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers };
    registry.publish({ 'app:1': registry.content.addJson(OCI_MANIFEST, manifest) });
  }
});

/** While one layer waited for the disk, the next would begin. */
const ONE_BY_ONE = { concurrency: 1, durability: 'none' } as const;

describe('an interruption', () => {
  test('keeps what was fetched for the next pull', async () => {
    const image = await addImage(registry.content, [base, { big: 'y'.repeat(300_000) }], { form: 'none' });
    registry.publish({ 'app:1': image.root });
    const controller = new AbortController();
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'layer' && event.state === 'done') controller.abort();
    };
    await store[Symbol.asyncDispose]();
    store = await openTestStore({ root: `${directory.path}/store`, config: ONE_BY_ONE });
    await assert.rejects(pullFrom(store, reference('app:1'), {}, { signal: controller.signal, onProgress }), (error) =>
      isTslayerError(error, 'ABORTED'),
    );
    assert.equal(store.metadata.layers.list().length, 1);
    assert.equal(store.metadata.images.list().length, 0);
    await checkStore(store, { resumable: true });
    const result = await pullFrom(store, reference('app:1'));
    assert.ok(result.fetchedBytes <= image.layers[1]!.size);
    await checkStore(store);
  });

  test('whose resume window is over leaves nothing', async () => {
    await store[Symbol.asyncDispose]();
    const root = `${directory.path}/store`;
    store = await openTestStore({ root, config: { ...ONE_BY_ONE, resumeWindowMs: 1 } });
    const image = await addImage(registry.content, [base, { more: 'x' }]);
    registry.publish({ 'app:1': image.root });
    const controller = new AbortController();
    const onProgress = (event: ProgressEvent) => {
      if (event.type === 'layer') controller.abort();
    };
    await assert.rejects(pullFrom(store, reference('app:1'), {}, { signal: controller.signal, onProgress }));
    await store[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, 5));
    store = await openTestStore({ root });
    await checkEmpty(store);
  });
});
