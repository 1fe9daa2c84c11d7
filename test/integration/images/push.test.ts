/** Pushes of what the store has: whole indexes, parts of them, and what refers to them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRegistryClient, type RegistryClient } from '../../../registry-client/index.ts';
import { buildImage } from '../../../src/images/build.ts';
import { findImage } from '../../../src/images/find.ts';
import { pushImage } from '../../../src/images/push.ts';
import { OCI_EMPTY, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parseReference, type Reference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { type RunningRegistry, serveRegistry } from '../../../src/serve/index.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, addIndex } from '../../support/memory-images.ts';
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
