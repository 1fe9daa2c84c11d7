/** Pushes to the embedded registry, byte for byte and no more than needed. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRegistryClient, type RegistryClient } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { isPushed, NO_PUSHES, pushContent } from '../../../src/images/push-content.ts';
import { copyReferrers, registryReader } from '../../../src/images/referrers.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_EMPTY, OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { type RunningRegistry, serveRegistry } from '../../../src/serve/index.ts';
import { closureOf } from '../../../src/transports/closure.ts';
import { addImage, addIndex, collect, MemoryContent } from '../../support/memory-images.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

const AMD = { os: 'linux', architecture: 'amd64' };
const ARM = { os: 'linux', architecture: 'arm64' };

let dir: TempDir;
let registry: RunningRegistry;
let client: RegistryClient;
let requests: { method: string; path: string; status: number }[] = [];

before(async () => {
  dir = tempDir('push');
  registry = await serveRegistry({
    layoutDir: dir.path,
    writable: true,
    onRequest: (access) => void requests.push(access),
  });
  client = createRegistryClient();
});
after(async () => {
  await client.close();
  await registry.close();
  dir[Symbol.dispose]();
});

const at = (name: string) => parseReference(`${registry.host}/${name}`);

test('an image arrives byte for byte, and a second push sends nothing', async () => {
  const content = new MemoryContent();
  const { root } = await addImage(content, [{ a: '1' }, { b: '2' }]);
  const request = { client, reader: content, root, destination: at('one:1') };
  assert.equal(await isPushed(request), false);
  const counts = await pushContent(request);
  assert.equal(counts.uploaded, 3);
  const there = await client.fetchManifest(at('one:1'));
  assert.deepEqual(Buffer.from(there.bytes), content.blobs.get(root.digest));
  const remote = registryReader(client, at('one'), {});
  for (const blob of (await closureOf(remote, [there.descriptor])).blobs) {
    assert.equal(digestOf(await collect(remote.openBlob(blob))), blob.digest);
  }
  requests = [];
  assert.equal(await isPushed(request), true);
  assert.deepEqual(
    requests.map(({ method }) => method),
    ['HEAD'],
  );
  assert.deepEqual(await pushContent(request), { ...NO_PUSHES, exists: 3 });
});

test('a changed layer is all that is sent, the rest is mounted from where it is', async () => {
  const content = new MemoryContent();
  const old = await addImage(content, [{ base: 'x'.repeat(5000) }]);
  await pushContent({ client, reader: content, root: old.root, destination: at('mount/base:1') });
  const next = await addImage(content, [{ base: 'x'.repeat(5000) }, { top: 'y' }]);
  // The embedded registry keeps its blobs for all repositories: whether mounting was asked for shows in the call.
  const asked = new Map<string, readonly string[]>();
  const watched: RegistryClient = {
    ...client,
    async pushBlob(repository, source, options) {
      asked.set(source.descriptor.digest, options?.mountFrom ?? []);
      const outcome = await client.pushBlob(repository, source, options);
      return outcome === 'exists' ? 'mounted' : outcome;
    },
  };
  const counts = await pushContent({
    client: watched,
    reader: content,
    root: next.root,
    destination: at('mount/next:1'),
    mountFrom: (digest) => (digest === old.layers[0]!.digest ? ['mount/base'] : []),
  });
  assert.deepEqual(counts, {
    uploaded: 2,
    mounted: 1,
    exists: 0,
    uploadedBytes: next.config.size + next.layers[1]!.size,
  });
  assert.deepEqual(asked.get(old.layers[0]!.digest), ['mount/base']);
  assert.deepEqual(asked.get(next.layers[1]!.digest), []);
});

describe('an index', () => {
  test('is pushed with all its platforms, before it its manifests', async () => {
    const content = new MemoryContent();
    const [amd, arm] = [await addImage(content, [{ a: 'amd' }]), await addImage(content, [{ a: 'arm' }])];
    const root = addIndex(content, [
      [AMD, amd.root],
      [ARM, arm.root],
    ]);
    requests = [];
    await pushContent({ client, reader: content, root, destination: at('multi:1') });
    const puts = requests.filter((access) => access.method === 'PUT' && access.path.includes('/manifests/'));
    assert.deepEqual(
      puts.map((access) => access.path.replace(/.*manifests\//, '')),
      [amd.root.digest, arm.root.digest, '1'],
    );
    assert.equal((await client.resolve(at('multi:1'))).descriptor.digest, root.digest);
  });

  test('of which a platform is missing here goes only where that platform is', async () => {
    const content = new MemoryContent();
    const [amd, arm] = [await addImage(content, [{ a: '1' }]), await addImage(content, [{ a: '2' }])];
    const root = addIndex(content, [
      [AMD, amd.root],
      [ARM, arm.root],
    ]);
    await pushContent({ client, reader: content, root: arm.root, destination: at('part/there:arm') });
    content.blobs.delete(arm.root.digest);
    await pushContent({ client, reader: content, root, destination: at('part/there:1') });
    requests = [];
    await assert.rejects(
      pushContent({ client, reader: content, root, destination: at('part/new:1') }),
      (error) => isTslayerError(error, 'NOT_FOUND') && /all-platforms/.test(error.hint ?? ''),
    );
    assert.deepEqual(
      requests.filter((access) => access.method !== 'GET' && access.method !== 'HEAD'),
      [],
    );
  });
});

test('a blob that fails stops the push, and no tag appears', async () => {
  const content = new MemoryContent();
  const { root, layers } = await addImage(content, [{ a: '1' }, { b: '3' }, { c: '4' }]);
  const broken = {
    readManifest: (descriptor: Descriptor) => content.readManifest(descriptor),
    has: (descriptor: Descriptor) => content.has(descriptor),
    async *openBlob(descriptor: Descriptor) {
      // Other bytes than the digest says: the registry finds out.
      if (descriptor.digest === layers[1]!.digest) yield Buffer.alloc(descriptor.size);
      else yield* content.openBlob(descriptor);
    },
  };
  await assert.rejects(pushContent({ client, reader: broken, root, destination: at('broken:1') }));
  await assert.rejects(client.resolve(at('broken:1')), (error) => isTslayerError(error, 'NOT_FOUND'));
});

test('signatures and SBOMs come along, those of cosign and what refers to them as well', async () => {
  const content = new MemoryContent();
  const image = await addImage(content, [{ signed: '1' }]);
  const source = at('signed/source:1');
  await pushContent({ client, reader: content, root: image.root, destination: source });
  const artifact = (subject: Descriptor | undefined, text: string) => {
    const empty = content.add(OCI_EMPTY, Buffer.from('{}'));
    const layer = content.add('text/plain', Buffer.from(text));
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, artifactType: 'text/sbom', config: empty };
    return content.addJson(OCI_MANIFEST, { ...manifest, layers: [layer], ...(subject && { subject }) });
  };
  const sbom = artifact(image.root, 'sbom');
  const signature = artifact(sbom, 'signature of the sbom');
  const cosign = artifact(undefined, 'cosign');
  const tag = `${image.root.digest.replace(':', '-')}.sig`;
  for (const root of [sbom, signature]) {
    await pushContent({ client, reader: content, root, destination: { ...source, tag: undefined } as never });
  }
  await pushContent({ client, reader: content, root: cosign, destination: { ...source, tag } });

  const target = at('signed/target:1');
  await pushContent({ client, reader: content, root: image.root, destination: target });
  const copied = await copyReferrers({ client, from: source, to: target, subjects: [image.root.digest] });
  assert.deepEqual([...copied.digests].sort(), [sbom, signature, cosign].map((root) => root.digest).sort());
  const listed = await client.referrers(target, image.root.digest);
  assert.deepEqual(
    listed.map((entry) => entry.digest),
    [sbom.digest],
  );
  assert.equal((await client.referrers(target, sbom.digest))[0]?.digest, signature.digest);
  assert.equal((await client.resolve({ ...target, tag })).descriptor.digest, cosign.digest);
});
