/** Pushes of what the store has: whole indexes, parts of them, and what refers to them. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { createRegistryClient, type RegistryClient } from '../../../registry-client/index.ts';
import { buildImage } from '../../../src/images/build.ts';
import { commitSnapshot } from '../../../src/images/commit.ts';
import { findImage } from '../../../src/images/find.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import { registrySource } from '../../../src/images/pull/source.ts';
import { pushImage } from '../../../src/images/push.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { tagImage } from '../../../src/images/tag.ts';
import { OCI_EMPTY, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parseReference, type Reference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { type RunningRegistry, serveRegistry } from '../../../src/serve/index.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, addIndex } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const AMD = { os: 'linux', architecture: 'amd64' };
const ARM = { os: 'linux', architecture: 'arm64' };

interface Scene extends AsyncDisposable {
  readonly dir: TempDir;
  readonly source: LayoutRegistry;
  readonly target: RunningRegistry;
  readonly client: RegistryClient;
  destination(name: string): Reference;
}

async function scene(): Promise<Scene> {
  const dir = tempDir('push');
  const source = await layoutRegistry();
  const target = await serveRegistry({ layoutDir: join(dir.path, 'target'), writable: true });
  const client = createRegistryClient({ env: {}, etc: '/nonexistent' });
  return {
    dir,
    source,
    target,
    client,
    destination: (name) => parseReference(`${target.host}/${name}`),
    async [Symbol.asyncDispose]() {
      await client.close();
      await target.close();
      await source[Symbol.asyncDispose]();
      dir[Symbol.dispose]();
    },
  };
}

async function publishIndex({ source }: Scene) {
  const amd = await addImage(source.content, [{ a: 'amd' }]);
  const arm = await addImage(source.content, [{ a: 'arm' }], { platform: ARM });
  const index = addIndex(source.content, [
    [AMD, amd.root],
    [ARM, arm.root],
  ]);
  source.publish({ 'multi:1': index });
  return { amd, arm, index };
}

test('an index with all platforms is pushed under its digest', async () => {
  await using place = await scene();
  const { index, arm } = await publishIndex(place);
  await using store = await openTestStore({ root: join(place.dir.path, 'store') });
  const name = `${place.source.host}/multi:1`;
  await pullFrom(store, name, { allPlatforms: true, unpack: false, platform: AMD });
  const destination = place.destination('copy:1');
  const result = await pushImage(store, place.client, findImage(store, name), { destination });
  assert.equal(result.digest, index.digest);
  assert.equal((await place.client.resolve(destination)).descriptor.digest, index.digest);
  assert.ok(await place.client.hasBlob(destination, arm.layers[0]!.digest));
  assert.equal((await pushImage(store, place.client, findImage(store, name), { destination })).status, 'present');
});

test('what was made here is pushed once, and again when its name moved', async () => {
  await using place = await scene();
  await using store = await openTestStore({ root: join(place.dir.path, 'store') });
  const made = (name: string, text: string) =>
    buildImage(store, place.destination(name), { layers: [{ files: { '/a': text } }], unpack: false, epoch: 0 });
  const push = (name: string) => pushImage(store, place.client, findImage(store, `${place.target.host}/${name}`));
  await made('one:1', 'a');
  const first = await push('one:1');
  assert.deepEqual([first.status, first.uploaded, first.mounted, first.exists], ['pushed', 2, 0, 0]);
  const again = await push('one:1');
  assert.deepEqual([again.status, again.uploaded, again.exists], ['present', 0, 2]);
  await made('one:1', 'b');
  const moved = await push('one:1');
  assert.deepEqual([moved.status, moved.uploaded], ['pushed', 2]);
  assert.equal((await place.client.resolve(place.destination('one:1'))).descriptor.digest, moved.digest);
});

describe('a store that drops compressed blobs', () => {
  test('fetches them again for a push, and drops them again', async (t) => {
    if (!requires(t, root)) return;
    await using place = await scene();
    const image = await addImage(place.source.content, [{ a: '1' }, { b: '2' }]);
    place.source.publish({ 'app:1': image.root });
    const config = { keepBlobs: false };
    await using store = await openTestStore({ root: join(place.dir.path, 'store'), config });
    const name = `${place.source.host}/app:1`;
    await pullFrom(store, name);
    const row = findImage(store, name);
    const layers = image.layers.map(({ digest }) => digest);
    const stored = () => layers.filter((digest) => store.metadata.blobs.has(digest) || store.blobs.stat(digest));
    assert.deepEqual(stored(), []);
    const destination = place.destination('copy:1');
    await assert.rejects(pushImage(store, place.client, row, { destination }), { code: 'NOT_FOUND' });
    // A name that was given here leads nowhere; the one that it was pulled by does.
    await tagImage(store, name, `${place.source.host}/aaa/tagged:1`);
    const sourceOf = async (from: string) => registrySource(place.client, parseReference(from));
    const pushed = await pushImage(store, place.client, row, { destination, sourceOf });
    assert.deepEqual([pushed.status, pushed.digest, pushed.uploaded], ['pushed', image.root.digest, 3]);
    assert.deepEqual(stored(), []);
    assert.deepEqual(store.metadata.leases.list(), []);
    assert.deepEqual((await fsck(store)).problems, []);
  });

  test('keeps what cannot be fetched: what was made here', async (t) => {
    if (!requires(t, root)) return;
    await using place = await scene();
    const config = { keepBlobs: false };
    await using store = await openTestStore({ root: join(place.dir.path, 'store'), config });
    const made = await buildImage(store, place.destination('made:1'), { layers: [{ files: { '/a': 'a' } }], epoch: 0 });
    assert.equal(made.unpacked, true);
    const pushed = await pushImage(store, place.client, findImage(store, `${place.target.host}/made:1`));
    assert.deepEqual([pushed.status, pushed.uploaded], ['pushed', 2]);
  });

  test('lets a mount be committed, pushed and used, also when it is to keep them from now on', async (t) => {
    if (!requires(t, root)) return;
    await using place = await scene();
    const image = await addImage(place.source.content, [{ a: '1' }]);
    place.source.publish({ 'app:1': image.root });
    const at = { root: join(place.dir.path, 'store') };
    const name = `${place.source.host}/app:1`;
    const change = async (store: OpenStore, mount: string, text: string): Promise<void> => {
      const { target } = await mountImage(store, name, { name: mount });
      writeFileSync(join(target, 'a'), text);
      const made = await commitSnapshot(store, mount, place.destination(`${mount}:1`));
      assert.equal(made.unpacked, false);
      await unmountImage(store, mount);
      const sourceOf = async (from: string) => registrySource(place.client, parseReference(from));
      const row = findImage(store, `${place.target.host}/${mount}:1`);
      assert.equal((await pushImage(store, place.client, row, { sourceOf })).status, 'pushed');
      const used = await mountImage(store, row.name, { name: 'used' });
      assert.equal(readFileSync(join(used.target, 'a'), 'utf8'), text);
      await unmountImage(store, 'used');
      assert.deepEqual((await fsck(store)).problems, []);
    };
    {
      await using store = await openTestStore({ ...at, config: { keepBlobs: false } });
      await pullFrom(store, name);
      await change(store, 'one', 'changed');
      assert.equal(store.metadata.blobs.has(image.layers[0]!.digest), false);
    }
    await using store = await openTestStore(at);
    await change(store, 'two', 'changed too');
  });

  test('has them once more when it is to keep them and pulls again', async (t) => {
    if (!requires(t, root)) return;
    await using place = await scene();
    const image = await addImage(place.source.content, [{ a: '1' }]);
    place.source.publish({ 'app:1': image.root });
    const at = { root: join(place.dir.path, 'store') };
    const name = `${place.source.host}/app:1`;
    {
      await using store = await openTestStore({ ...at, config: { keepBlobs: false } });
      await pullFrom(store, name);
    }
    await using store = await openTestStore(at);
    const again = await pullFrom(store, name);
    assert.equal(again.fetchedBytes, image.layers[0]?.size);
    assert.equal((await pullFrom(store, name)).status, 'present');
    await checkStore(store);
  });
});

test('of an index with one platform here that image is pushed, with a warning', async () => {
  await using place = await scene();
  const { amd, index } = await publishIndex(place);
  await using store = await openTestStore({ root: join(place.dir.path, 'store') });
  const name = `${place.source.host}/multi:1`;
  await pullFrom(store, name, { unpack: false, platform: AMD });
  const image = findImage(store, name);
  const warnings: string[] = [];
  const onProgress = (event: ProgressEvent) => void (event.type === 'warning' && warnings.push(event.message));
  const first = await pushImage(store, place.client, image, { destination: place.destination('part:1'), onProgress });
  assert.equal(first.digest, amd.root.digest);
  assert.match(warnings.join(), /only linux\/amd64 .* is here/);
  // Where the other platform is already, the whole index can be named.
  await using other = await openTestStore({ root: join(place.dir.path, 'other') });
  await pullFrom(other, name, { unpack: false, platform: ARM });
  await pushImage(other, place.client, findImage(other, name), { destination: place.destination('part:arm') });
  const whole = await pushImage(store, place.client, image, { destination: place.destination('part:2') });
  assert.equal(whole.digest, index.digest);
  const alone = await pushImage(store, place.client, image, {
    destination: place.destination('alone:1'),
    platform: AMD,
  });
  assert.equal(alone.digest, amd.root.digest);
});

test('signatures and SBOMs come along when asked for', async () => {
  await using place = await scene();
  const { content } = place.source;
  const image = await addImage(content, [{ a: '1' }]);
  const config = content.add(OCI_EMPTY, Buffer.from('{}'));
  const layer = content.add('text/plain', Buffer.from('sbom'));
  const about = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: 'text/sbom', config, layers: [layer] };
  const sbom = content.addJson(OCI_MANIFEST, { ...about, subject: image.root });
  place.source.publish({ 'app:1': image.root, 'app:sbom': sbom });
  await using store = await openTestStore({ root: join(place.dir.path, 'store') });
  const name = `${place.source.host}/app:1`;
  await pullFrom(store, name, { unpack: false });
  const destination = place.destination('app:1');
  const without = await pushImage(store, place.client, findImage(store, name), { destination });
  assert.deepEqual(without.referrers, []);
  const result = await pushImage(store, place.client, findImage(store, name), { destination, referrers: true });
  assert.deepEqual(result.referrers, [sbom.digest]);
  const [listed] = await place.client.referrers(destination, image.root.digest);
  assert.equal(listed?.digest, sbom.digest);
});
