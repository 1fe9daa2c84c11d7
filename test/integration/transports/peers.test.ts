/** What is written here is read by the other tools, and the other way round, with the same digests. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { detectArchive, selectImage } from '../../../src/transports/open.ts';
import { ociArchive } from '../../../src/transports/save.ts';
import { dockerArchive } from '../../../src/transports/save-docker.ts';
import { saveLayout } from '../../../src/transports/save-layout.ts';
import { addImage, MemoryContent, type MemoryImage } from '../../support/memory-images.ts';
import { containersTool, runProgram, startContainerd, startDockerd } from '../../support/peers.ts';
import { program, requires, root } from '../../support/requires.ts';

const content = new MemoryContent();
let dir = '';
let a: MemoryImage;
let b: MemoryImage;
let oci = '';
let docker = '';
let layout = '';

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tslayer-peers-'));
  const base = { 'etc/motd': 'hello\n', 'etc/gone': 'x' };
  a = await addImage(content, [base, { 'etc/.wh.gone': '', 'app/a': 'A' }]);
  b = await addImage(content, [base, { 'app/b': 'B' }]);
  const images = [
    { root: a.root, references: [parseReference('example.org/a:1')] },
    { root: b.root, references: [parseReference('example.org/b:2')] },
  ];
  oci = join(dir, 'oci.tar');
  docker = join(dir, 'docker.tar');
  layout = join(dir, 'layout');
  await writeFile(oci, ociArchive(content, images));
  await writeFile(docker, dockerArchive(content, images));
  await saveLayout(content, [{ root: a.root, references: [], refName: 'one' }], layout);
  await saveLayout(content, [{ root: b.root, references: [], refName: 'two' }], layout);
});
after(() => rm(dir, { recursive: true, force: true }));

const configHex = (image: MemoryImage) => image.config.digest.slice('sha256:'.length);

describe('skopeo', () => {
  const digestOf = async (location: string) => JSON.parse(await runProgram('skopeo', ['inspect', location])).Digest;

  test('reads our OCI archives and layouts by name, digests unchanged', async (t) => {
    if (!requires(t, program('skopeo'))) return;
    assert.equal(await digestOf(`oci-archive:${oci}:example.org/a:1`), a.root.digest);
    assert.equal(await digestOf(`oci:${layout}:two`), b.root.digest);
  });

  test('reads our Docker archives, config digests unchanged', async (t) => {
    if (!requires(t, program('skopeo'))) return;
    for (const file of [docker, oci]) {
      const config = await runProgram('skopeo', ['inspect', '--raw', `docker-archive:${file}:example.org/b:2`]);
      assert.equal(JSON.parse(config).config.digest, b.config.digest);
    }
  });

  test('writes archives that are read here', async (t) => {
    if (!requires(t, program('skopeo'))) return;
    const source = `oci:${layout}:one`;
    const inOci = join(dir, 'skopeo-oci.tar');
    const inDocker = join(dir, 'skopeo-docker.tar');
    await runProgram('skopeo', ['copy', '-q', source, `oci-archive:${inOci}:example.org/a:1`]);
    await runProgram('skopeo', ['copy', '-q', source, `docker-archive:${inDocker}:example.org/a:1`]);
    await using first = await detectArchive(inOci);
    assert.equal(selectImage(first, 'example.org/a:1').root.digest, a.root.digest);
    await using second = await detectArchive(inDocker);
    await sameLayers(second, 'example.org/a:1');
  });
});

async function sameLayers(archive: Awaited<ReturnType<typeof detectArchive>>, name: string): Promise<void> {
  const manifest = parseManifest(await archive.readManifest(selectImage(archive, name).root), undefined);
  assert.ok(manifest.kind === 'manifest');
  assert.deepEqual(
    manifest.layers.map((layer) => layer.digest as string),
    a.diffIDs,
  );
}

test('umoci unpacks our layouts', async (t) => {
  if (!requires(t, root, program('umoci'))) return;
  const bundle = join(dir, 'bundle');
  await runProgram('umoci', ['unpack', '--image', `${layout}:one`, bundle]);
  const listing = await runProgram('find', [join(bundle, 'rootfs'), '-type', 'f', '-printf', '%P ']);
  assert.deepEqual(listing.trim().split(' ').sort(), ['app/a', 'etc/motd']);
});

for (const tool of ['podman', 'buildah'] as const) {
  test(`${tool} takes our archives of one and of several images, and what it saves is read here`, async (t) => {
    if (!requires(t, root, program(tool))) return;
    const run = containersTool(tool, join(dir, tool));
    if (tool === 'podman') {
      for (const file of [docker, oci]) {
        await run('load', '-q', '-i', file);
        const ids = await run('images', '--no-trunc', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}');
        assert.match(ids, new RegExp(`example.org/a:1 sha256:${configHex(a)}`));
        assert.match(ids, new RegExp(`example.org/b:2 sha256:${configHex(b)}`));
        await run('rmi', '-f', '-a');
      }
    }
    await run('pull', '-q', `oci-archive:${oci}:example.org/a:1`);
    const saved = join(dir, `${tool}.tar`);
    await run('push', '-q', 'example.org/a:1', `docker-archive:${saved}:example.org/a:1`);
    await using archive = await detectArchive(saved);
    await sameLayers(archive, 'example.org/a:1');
  });
}

test('containerd imports our archives, and what it exports is read here', async (t) => {
  if (!requires(t, root, program('containerd'), program('ctr'))) return;
  await using containerd = await startContainerd(join(dir, 'containerd'));
  for (const file of [oci, docker]) {
    await containerd.run('images', 'import', '--no-unpack', file);
    const listing = await containerd.run('images', 'list');
    assert.match(listing, /example\.org\/b:2/);
    if (file === oci) assert.match(listing, new RegExp(`example.org/a:1 .*${a.root.digest}`));
    if (file === oci) {
      const exported = join(dir, 'ctr.tar');
      await containerd.run('images', 'export', exported, 'example.org/a:1');
      await using archive = await detectArchive(exported);
      assert.equal(selectImage(archive, 'example.org/a:1').root.digest, a.root.digest);
    }
    await containerd.run('images', 'remove', '--sync', 'example.org/a:1', 'example.org/b:2');
  }
});

test('docker loads our archives, and what it saves is read here', async (t) => {
  if (!requires(t, root, program('dockerd'), program('docker'), program('containerd'))) return;
  await using dockerd = await startDockerd(join(dir, 'docker'));
  for (const file of [docker, oci]) {
    await dockerd.run('load', '-q', '-i', file);
    assert.equal((await dockerd.run('image', 'inspect', '-f', '{{.Id}}', 'example.org/a:1')).trim(), a.config.digest);
    const saved = join(dir, 'docker-saved.tar');
    await dockerd.run('save', '-o', saved, 'example.org/a:1', 'example.org/b:2');
    await using archive = await detectArchive(saved);
    await sameLayers(archive, 'example.org/a:1');
    await dockerd.run('rmi', 'example.org/a:1', 'example.org/b:2');
  }
});
