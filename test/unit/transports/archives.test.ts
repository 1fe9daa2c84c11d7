/** Images written as archives and read back: nothing changes its digest on the way. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isTslayerError } from '../../../src/errors.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { formatReference, parseReference } from '../../../src/oci/reference.ts';
import { closureOf } from '../../../src/transports/closure.ts';
import { detectArchive, openArchive, referencesOf, selectImage } from '../../../src/transports/open.ts';
import { ociArchive } from '../../../src/transports/save.ts';
import { dockerArchive } from '../../../src/transports/save-docker.ts';
import { saveLayout } from '../../../src/transports/save-layout.ts';
import type { ContentReader, ImageArchive } from '../../../src/transports/source.ts';
import { addImage, addIndex, collect, MemoryContent } from '../../support/memory-images.ts';

const BASE = { 'bin/sh': 'shell', 'etc/passwd': 'root' };
let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tslayer-archives-'));
});
after(() => rm(dir, { recursive: true, force: true }));

/** Every byte below a root, by digest. */
async function digestsBelow(reader: ContentReader, root: Descriptor): Promise<string[]> {
  const { manifests, blobs } = await closureOf(reader, [root]);
  const found: string[] = manifests.map((node) => digestOf(node.bytes));
  for (const blob of blobs) found.push(digestOf(await collect(reader.openBlob(blob))));
  return found.sort();
}

async function twoImages() {
  const content = new MemoryContent();
  const a = await addImage(content, [BASE, { 'app/a': 'A' }]);
  const b = await addImage(content, [BASE, { 'app/b': 'B' }], { form: 'zstd' });
  const images = [
    { root: a.root, references: [parseReference('alpine:3.20'), parseReference('ghcr.io/o/a:1')] },
    { root: b.root, references: [parseReference('127.0.0.1:5000/b')] },
  ];
  return { content, a, b, images };
}

describe('an OCI archive', () => {
  test('keeps every digest and every name, and is found out by load', async () => {
    const { content, a, b, images } = await twoImages();
    const path = join(dir, 'two.tar');
    await writeFile(path, ociArchive(content, images));
    for (const open of [() => detectArchive(path), () => openArchive({ transport: 'oci-archive', path })]) {
      await using archive = await open();
      assert.deepEqual(
        archive.images.map((image) => [image.root.digest, image.names]),
        [
          [a.root.digest, ['docker.io/library/alpine:3.20', 'ghcr.io/o/a:1']],
          [b.root.digest, ['127.0.0.1:5000/b:latest']],
        ],
      );
      for (const { root } of [a, b]) {
        assert.deepEqual(await digestsBelow(archive, root), await digestsBelow(content, root));
      }
    }
  });

  test('is the same bytes each time and holds a shared layer once', async () => {
    const content = new MemoryContent();
    const a = await addImage(content, [BASE, { a: 'A' }]);
    const b = await addImage(content, [BASE, { b: 'B' }]);
    const images = [a, b].map(({ root }) => ({ root, references: [] }));
    const first = await collect(ociArchive(content, images));
    assert.deepEqual(first, await collect(ociArchive(content, images)));
    const shared = a.layers[0]!.digest.slice('sha256:'.length);
    const headers = first.toString('latin1').split(`blobs/sha256/${shared}\0`).length - 1;
    assert.equal(headers, 1);
  });

  test('can be read as a Docker archive too, with the same config digests', async () => {
    const { content, a, images } = await twoImages();
    const path = join(dir, 'both.tar');
    await writeFile(path, ociArchive(content, images));
    await using archive = await openArchive({ transport: 'docker-archive', path });
    const image = selectImage(archive, 'alpine:3.20');
    const manifest = parseManifest(await archive.readManifest(image.root), undefined);
    assert.ok(manifest.kind === 'manifest');
    assert.equal(manifest.config.digest, a.config.digest);
    assert.deepEqual(
      manifest.layers.map((layer) => layer.digest),
      a.layers.map((layer) => layer.digest),
    );
  });

  test('keeps an index of which one platform is here, and its digest', async () => {
    const content = new MemoryContent();
    const amd = await addImage(content, [BASE]);
    const arm = await addImage(content, [{ other: 'x' }], { platform: { os: 'linux', architecture: 'arm64' } });
    const root = addIndex(content, [
      [{ os: 'linux', architecture: 'amd64' }, amd.root],
      [{ os: 'linux', architecture: 'arm64' }, arm.root],
    ]);
    content.blobs.delete(arm.layers[0]!.digest);
    const path = join(dir, 'thin.tar');
    await writeFile(path, ociArchive(content, [{ root, references: [parseReference('x')] }]));
    await using archive = await detectArchive(path);
    assert.equal(selectImage(archive, 'x').root.digest, root.digest);
    assert.equal(await archive.has(amd.layers[0]!), true);
    assert.equal(await archive.has(arm.root), false);
  });

  test('is refused when a blob of the store is damaged', async () => {
    const { content, a, images } = await twoImages();
    content.blobs.set(a.layers[1]!.digest, Buffer.alloc(a.layers[1]!.size));
    await assert.rejects(collect(ociArchive(content, images)), (error) => isTslayerError(error, 'DIGEST_MISMATCH'));
    content.blobs.set(a.layers[1]!.digest, Buffer.alloc(3));
    await assert.rejects(collect(ociArchive(content, images)), (error) => isTslayerError(error, 'SIZE_MISMATCH'));
    content.blobs.delete(a.layers[1]!.digest);
    await assert.rejects(collect(ociArchive(content, images)), (error) => isTslayerError(error, 'NOT_FOUND'));
  });
});

describe('a Docker archive', () => {
  async function read(archive: ImageArchive, name: string) {
    const { root } = selectImage(archive, name);
    const manifest = parseManifest(await archive.readManifest(root), undefined);
    assert.ok(manifest.kind === 'manifest');
    return { root, manifest };
  }

  for (const form of ['gzip', 'zstd', 'none'] as const) {
    test(`keeps config digests and diffIDs of ${form} layers`, async () => {
      const content = new MemoryContent();
      const image = await addImage(content, [BASE, { 'etc/passwd': 'other' }], { form });
      const path = join(dir, `docker-${form}.tar`);
      await writeFile(
        path,
        dockerArchive(content, [{ root: image.root, references: [parseReference('alpine:3.20')] }]),
      );
      await using archive = await detectArchive(path);
      const { manifest } = await read(archive, 'docker.io/library/alpine:3.20');
      assert.equal(manifest.config.digest, image.config.digest);
      assert.deepEqual(
        manifest.layers.map((layer) => layer.digest as string),
        image.diffIDs,
      );
      for (const layer of manifest.layers) {
        assert.equal(digestOf(await collect(archive.openBlob(layer))), layer.digest);
      }
    });
  }

  test('read twice, gives one manifest digest', async () => {
    const content = new MemoryContent();
    const image = await addImage(content, [BASE]);
    const path = join(dir, 'stable.tar');
    await writeFile(path, dockerArchive(content, [{ root: image.root, references: [] }]));
    await using first = await detectArchive(path);
    await using second = await detectArchive(path);
    assert.equal(first.images[0]!.root.digest, second.images[0]!.root.digest);
  });

  test('holds a layer that two images share once', async () => {
    const content = new MemoryContent();
    const a = await addImage(content, [BASE, { a: 'A' }]);
    // The same tar, compressed in another way: still one layer.
    const b = await addImage(content, [BASE, { b: 'B' }], { form: 'zstd' });
    const images = [a, b].map(({ root }) => ({ root, references: [] }));
    const bytes = await collect(dockerArchive(content, images));
    const hex = a.diffIDs[0]!.slice('sha256:'.length);
    assert.equal(bytes.toString('latin1').split(`${hex}.tar\0`).length - 1, 1);
  });

  test('may lie compressed, or come from standard input', async () => {
    const { content, images } = await twoImages();
    const plain = await collect(dockerArchive(content, images));
    for (const [name, bytes] of [
      ['a.tar.gz', gzipSync(plain)],
      ['a.tar.zst', zstdCompressSync(plain)],
    ] as const) {
      const path = join(dir, name);
      await writeFile(path, bytes);
      await using archive = await detectArchive(path, { tmpDir: dir });
      await read(archive, 'alpine:3.20');
    }
    async function* stdin() {
      for (let at = 0; at < plain.length; at += 1000) yield plain.subarray(at, at + 1000);
    }
    await using archive = await detectArchive('-', { tmpDir: dir, stdin: stdin() });
    await read(archive, 'ghcr.io/o/a:1');
    assert.deepEqual(
      (await readdir(dir)).filter((name) => name.startsWith('spool')),
      [],
    );
  });
});

describe('an OCI layout', () => {
  test('takes a second image beside the first, and moves a name', async () => {
    const { content, a, b } = await twoImages();
    const path = join(dir, 'layout');
    await saveLayout(content, [{ root: a.root, references: [], refName: 'x' }], path);
    await saveLayout(content, [{ root: b.root, references: [], refName: 'y' }], path);
    await using archive = await openArchive({ transport: 'oci', path });
    assert.equal(selectImage(archive, 'x').root.digest, a.root.digest);
    assert.equal(selectImage(archive, 'y').root.digest, b.root.digest);
    assert.deepEqual(await digestsBelow(archive, b.root), await digestsBelow(content, b.root));
    await saveLayout(content, [{ root: b.root, references: [], refName: 'x' }], path);
    await using moved = await openArchive({ transport: 'oci', path });
    assert.equal(selectImage(moved, 'x').root.digest, b.root.digest);
    const left = await readdir(path);
    assert.deepEqual(left.sort(), ['blobs', 'index.json', 'oci-layout']);
  });

  test('keeps its index when the image to add is damaged', async () => {
    const { content, a, b } = await twoImages();
    const path = join(dir, 'kept');
    await saveLayout(content, [{ root: a.root, references: [], refName: 'x' }], path);
    const index = await readFile(join(path, 'index.json'));
    content.blobs.set(b.layers[1]!.digest, Buffer.alloc(b.layers[1]!.size));
    await assert.rejects(saveLayout(content, [{ root: b.root, references: [], refName: 'x' }], path));
    assert.deepEqual(await readFile(join(path, 'index.json')), index);
    const blobs = await readdir(join(path, 'blobs/sha256'));
    assert.deepEqual(
      blobs.filter((name) => name.includes('partial')),
      [],
    );
  });
});

describe('names', () => {
  test('a bare tag is named after its archive, a full name stays', () => {
    const root = { mediaType: 'x/y', digest: digestOf(''), size: 0 };
    const names = (name: string, path: string) =>
      referencesOf({ root, names: [name] }, path).map((reference) => formatReference(reference));
    assert.deepEqual(names('3.20', '/a/Alpine.tar.gz'), ['localhost/alpine:3.20']);
    assert.deepEqual(names('alpine:3.20', 'x'), ['docker.io/library/alpine:3.20']);
    assert.deepEqual(names('3.20', '-'), []);
    assert.deepEqual(names(digestOf(''), 'x'), []);
  });

  test('a name that fits two images is refused, with what there is', async () => {
    const { content, images } = await twoImages();
    const path = join(dir, 'ambiguous.tar');
    await writeFile(path, ociArchive(content, images));
    await using archive = await detectArchive(path);
    for (const name of [undefined, 'nothing']) {
      assert.throws(
        () => selectImage(archive, name),
        (error) => isTslayerError(error, 'NOT_FOUND') && /alpine:3.20/.test(error.hint ?? ''),
      );
    }
    assert.ok(selectImage(archive, '3.20'));
  });
});
