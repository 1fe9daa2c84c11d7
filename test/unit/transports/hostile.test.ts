/** Archives made to fool or to exhaust the reader. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { parseManifest } from '../../../src/oci/manifest.ts';
import { OCI_INDEX } from '../../../src/oci/media-types.ts';
import { detectArchive, openArchive } from '../../../src/transports/open.ts';
import type { ImageArchive } from '../../../src/transports/source.ts';
import { collect, tarOf } from '../../support/memory-images.ts';

type Item = readonly [Partial<Header> & { name: string }, (string | Uint8Array)?];

let dir = '';
let count = 0;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tslayer-hostile-'));
});
after(() => rm(dir, { recursive: true, force: true }));

async function archiveOf(items: readonly Item[], change = (bytes: Buffer) => bytes): Promise<string> {
  const tar = pack();
  for (const [header, content] of items) tar.entry(header, content ?? '');
  tar.finalize();
  const path = join(dir, `${count++}.tar`);
  await writeFile(path, change(await collect(tar as AsyncIterable<Uint8Array>)));
  return path;
}

const failsWith = (code: ErrorCode, pattern: RegExp) => (error: unknown) => {
  assert.ok(isTslayerError(error), String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  assert.ok(!error.message.includes('\n'));
  return true;
};

const layer = await tarOf({ file: 'content' });
const config = JSON.stringify({
  rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
  os: 'linux',
  architecture: 'amd64',
});
const list = (Config: string, Layers: string[]) => JSON.stringify([{ Config, RepoTags: ['x:1'], Layers }]);

async function firstLayer(archive: ImageArchive): Promise<Buffer> {
  const manifest = parseManifest(await archive.readManifest(archive.images[0]!.root), undefined);
  assert.ok(manifest.kind === 'manifest');
  return collect(archive.openBlob(manifest.layers[0]!));
}

test('a name that climbs out of the archive is refused', async () => {
  for (const name of ['../manifest.json', 'a/../../b', '/etc/passwd']) {
    const path = await archiveOf([[{ name }, 'x']]);
    await assert.rejects(detectArchive(path), failsWith('UNSAFE_LAYER', /leads out of the archive/), name);
  }
});

test('a config or layer named outside of the archive is not read', async () => {
  const outside = await archiveOf([[{ name: 'manifest.json' }, list('/etc/passwd', [])]]);
  await assert.rejects(detectArchive(outside), failsWith('UNSAFE_LAYER', /leads out/));
  const above = await archiveOf([
    [{ name: 'manifest.json' }, list('c.json', ['../../etc/passwd'])],
    [{ name: 'c.json' }, config],
  ]);
  await assert.rejects(detectArchive(above), failsWith('UNSAFE_LAYER', /leads out/));
});

test('a layer link inside the archive is followed, one that leads out or in circles is not', async () => {
  const withLink = (linkname: string, type: 'symlink' | 'link' = 'symlink') =>
    archiveOf([
      [{ name: 'manifest.json' }, list('c.json', ['b/layer.tar'])],
      [{ name: 'c.json' }, config],
      [{ name: 'a/layer.tar' }, layer],
      [{ name: 'b/layer.tar', type, linkname }],
    ]);
  for (const path of [await withLink('../a/layer.tar'), await withLink('a/layer.tar', 'link')]) {
    await using archive = await detectArchive(path);
    assert.deepEqual(await firstLayer(archive), layer);
  }
  await assert.rejects(detectArchive(await withLink('../../../etc/passwd')), failsWith('UNSAFE_LAYER', /leads out/));
  await assert.rejects(detectArchive(await withLink('/etc/passwd')), failsWith('UNSAFE_LAYER', /leads out/));
  await assert.rejects(detectArchive(await withLink('layer.tar')), failsWith('MALFORMED', /loop of links/));
});

test('two entries of one name are refused: readers would disagree on which counts', async () => {
  const path = await archiveOf([
    [{ name: 'manifest.json' }, list('c.json', [])],
    [{ name: './manifest.json' }, list('d.json', [])],
  ]);
  await assert.rejects(detectArchive(path), failsWith('MALFORMED', /two entries named "manifest.json"/));
});

test('a huge manifest, config or index is refused before it is read', async () => {
  const huge = Buffer.alloc(17 * 1024 * 1024, ' ');
  const big = await archiveOf([[{ name: 'manifest.json' }, huge]]);
  await assert.rejects(detectArchive(big), failsWith('LIMIT_EXCEEDED', /manifest.json/));
  const bigConfig = await archiveOf([
    [{ name: 'manifest.json' }, list('c.json', [])],
    [{ name: 'c.json' }, huge],
  ]);
  await assert.rejects(detectArchive(bigConfig), failsWith('LIMIT_EXCEEDED', /c.json/));
});

test('a compression bomb ends at the limit', async () => {
  const bomb = join(dir, 'bomb.tar.gz');
  await writeFile(bomb, gzipSync(Buffer.alloc(8 * 1024 * 1024)));
  await assert.rejects(
    detectArchive(bomb, { tmpDir: dir, maxBytes: 1024 * 1024 }),
    failsWith('LIMIT_EXCEEDED', /more than 1048576 bytes/),
  );
});

test('an archive cut short, damaged or of another kind says so', async () => {
  const items: Item[] = [
    [{ name: 'manifest.json' }, list('c.json', [])],
    [{ name: 'big' }, Buffer.alloc(5000)],
  ];
  const cut = await archiveOf(items, (bytes) => bytes.subarray(0, 3000));
  await assert.rejects(detectArchive(cut), failsWith('MALFORMED', /cut short/));
  const garbage = await archiveOf(items, (bytes) => bytes.fill(0x55, 0, 512));
  await assert.rejects(detectArchive(garbage), failsWith('MALFORMED', /not a tar archive/));
  const empty = join(dir, 'empty.tar');
  await writeFile(empty, '');
  await assert.rejects(detectArchive(empty), failsWith('MALFORMED', /not a tar archive/));
  const cutGzip = join(dir, 'cut.tar.gz');
  await writeFile(cutGzip, gzipSync(layer).subarray(0, 40));
  await assert.rejects(detectArchive(cutGzip, { tmpDir: dir }), failsWith('MALFORMED', /damaged/));
  const xz = join(dir, 'a.tar.xz');
  await writeFile(xz, Buffer.from('fd377a585a0000', 'hex'));
  await assert.rejects(detectArchive(xz), failsWith('UNSUPPORTED', /compressed with xz/));
  const plain = await archiveOf([[{ name: 'bin/sh' }, 'x']]);
  await assert.rejects(detectArchive(plain), failsWith('MALFORMED', /neither an OCI nor a Docker archive/));
  await assert.rejects(detectArchive(join(dir, 'missing.tar')), failsWith('NOT_FOUND', /cannot open/));
});

test('an image with more layers than diffIDs is refused', async () => {
  const path = await archiveOf([
    [{ name: 'manifest.json' }, list('c.json', ['l.tar', 'l.tar'])],
    [{ name: 'c.json' }, config],
    [{ name: 'l.tar' }, layer],
  ]);
  await assert.rejects(detectArchive(path), failsWith('MALFORMED', /2 layers but its config names 1 diffIDs/));
});

test('a layout with a digest that is a path is refused (CVE-2024-3727)', async () => {
  const evil = { mediaType: OCI_INDEX, digest: 'sha256:../../../../etc/passwd', size: 3 };
  const path = await archiveOf([
    [{ name: 'oci-layout' }, '{"imageLayoutVersion":"1.0.0"}'],
    [{ name: 'index.json' }, JSON.stringify({ schemaVersion: 2, manifests: [evil] })],
  ]);
  await assert.rejects(detectArchive(path), failsWith('MALFORMED', /manifests.0.digest/));
});

test('a layout directory with links out of it, or a FIFO in place of a file, is not read', async () => {
  const make = async (name: string) => {
    const path = join(dir, name);
    await mkdir(join(path, 'blobs/sha256'), { recursive: true });
    await writeFile(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await writeFile(join(path, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
    return path;
  };
  const linked = await make('linked');
  await rm(join(linked, 'index.json'));
  await symlink('/etc/passwd', join(linked, 'index.json'));
  await assert.rejects(openArchive({ transport: 'oci', path: linked }), failsWith('UNSAFE_LAYER', /leads out/));
  const blobs = await make('blobs');
  await using archive = await openArchive({ transport: 'oci', path: blobs });
  const descriptor = { mediaType: OCI_INDEX, digest: digestOf('x'), size: 1 };
  await symlink('/etc/passwd', join(blobs, 'blobs/sha256', descriptor.digest.slice(7)));
  await assert.rejects(archive.readManifest(descriptor), failsWith('UNSAFE_LAYER', /leads out/));
  await assert.rejects(
    openArchive({ transport: 'oci', path: join(dir, 'none') }),
    failsWith('NOT_FOUND', /cannot open/),
  );
});

test('an archive of docker before 1.10 is read by its chain of jsons', async () => {
  const base = 'a'.repeat(64);
  const top = 'b'.repeat(64);
  const upper = await tarOf({ upper: '1' });
  const items = (parent: string): Item[] => [
    [{ name: 'repositories' }, JSON.stringify({ 'example/old': { '1.0': top } })],
    [{ name: `${base}/json` }, JSON.stringify({ id: base, os: 'linux', architecture: 'amd64' })],
    [{ name: `${base}/layer.tar` }, layer],
    [{ name: `${top}/json` }, JSON.stringify({ id: top, parent, architecture: 'amd64', config: { Cmd: ['sh'] } })],
    [{ name: `${top}/layer.tar` }, upper],
  ];
  await using archive = await detectArchive(await archiveOf(items(base)));
  assert.deepEqual(archive.images[0]?.names, ['example/old:1.0']);
  assert.deepEqual(await firstLayer(archive), layer);
  await assert.rejects(detectArchive(await archiveOf(items(top))), failsWith('LIMIT_EXCEEDED', /more than 500 layers/));
  await assert.rejects(detectArchive(await archiveOf(items('../x'))), failsWith('MALFORMED', /no valid id/));
});
