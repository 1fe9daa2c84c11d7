/** The embedded registry, asked by hand: the distribution API's letter, and what strangers may send. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fetch, { type RequestInit, type Response } from 'node-fetch';
import { isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { OCI_MANIFEST } from '../../../src/oci/media-types.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { serveRegistry } from '../../../src/serve/index.ts';
import { collect } from '../../support/collect.ts';
import { runProgram } from '../../support/peers.ts';
import {
  bytesSource,
  makeImage,
  pushImage,
  readBlob,
  startRegistry,
  startRegistryWith,
  testClient,
} from '../../support/registry-content.ts';
import { program, requires } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const image = makeImage(50_000);
const BLOB = `/v2/library/test/blobs/${image.layerDescriptor.digest}`;
const MANIFEST = '/v2/library/test/manifests/v1';

async function codeOf(response: Response): Promise<string | undefined> {
  const body = (await response.json()) as { errors?: { code: string }[] };
  return body.errors?.[0]?.code;
}

describe('the embedded registry, reading', () => {
  test('a manifest by tag and by digest, with and without its body', async () => {
    await using at = await startRegistryWith(image);
    for (const reference of ['v1', image.descriptor.digest]) {
      const url = `${at.registry.url}/v2/library/test/manifests/${reference}`;
      const head = await fetch(url, { method: 'HEAD' });
      const get = await fetch(url);
      for (const { headers, status } of [head, get]) {
        assert.equal(status, 200);
        assert.equal(headers.get('docker-content-digest'), image.descriptor.digest);
        assert.equal(headers.get('content-type'), OCI_MANIFEST);
        assert.equal(headers.get('content-length'), `${image.manifest.length}`);
      }
      assert.ok(Buffer.from(await get.arrayBuffer()).equals(image.manifest));
    }
  });

  const ranges: readonly (readonly [range: string, status: number, start?: number, end?: number])[] = [
    ['bytes=0-9', 206, 0, 10],
    ['bytes=49990-', 206, 49_990, 50_000],
    ['bytes=49990-99999', 206, 49_990, 50_000],
    ['bytes=-10', 206, 49_990, 50_000],
    ['bytes=-99999', 206, 0, 50_000],
    ['bytes=50000-', 416],
    ['bytes=-0', 416],
    ['bytes=9-3', 200, 0, 50_000],
    ['bytes=0-1,3-4', 200, 0, 50_000],
    ['lines=1-2', 200, 0, 50_000],
    ['bytes=99999999999999999999-', 200, 0, 50_000],
  ];
  for (const [range, status, start, end] of ranges) {
    test(`Range: ${range} gives ${status}`, async () => {
      await using at = await startRegistryWith(image);
      const response = await fetch(`${at.registry.url}${BLOB}`, { headers: { range } });
      assert.equal(response.status, status);
      if (status === 416) return assert.equal(response.headers.get('content-range'), 'bytes */50000');
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(image.layer.subarray(start, end)));
      if (status === 206) assert.equal(response.headers.get('content-range'), `bytes ${start}-${(end ?? 0) - 1}/50000`);
    });
  }

  test('If-Range with another tag asks for the whole', async () => {
    await using at = await startRegistryWith(image);
    const get = (tag: string) =>
      fetch(`${at.registry.url}${BLOB}`, { headers: { range: 'bytes=5-', 'if-range': tag } });
    assert.equal((await get(`"${image.layerDescriptor.digest}"`)).status, 206);
    assert.equal((await get('"another"')).status, 200);
  });

  test('tags in pages, in order', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient();
    const reference = parseReference(`${at.registry.host}/library/test`);
    for (const tag of ['b', 'a', 'c2', 'c10'])
      await client.pushManifest({ ...reference, tag }, image.manifest, OCI_MANIFEST);
    const first = await fetch(`${at.registry.url}/v2/library/test/tags/list?n=2`);
    assert.deepEqual(await first.json(), { name: 'library/test', tags: ['a', 'b'] });
    assert.equal(first.headers.get('link'), '</v2/library/test/tags/list?n=2&last=b>; rel="next"');
    assert.deepEqual(await (await fetch(`${at.registry.url}/v2/library/test/tags/list?n=0`)).json(), {
      name: 'library/test',
      tags: [],
    });
    assert.deepEqual(await collect(client.listTags(reference)), ['a', 'b', 'c10', 'c2', 'v1']);
    assert.deepEqual(await collect(client.catalog(at.registry.host)), ['library/test']);
    await client.close();
  });

  for (const [path, status, code] of [
    ['/v2/library/test/manifests/none', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/library/none/manifests/v1', 404, 'NAME_UNKNOWN'],
    [`/v2/library/test/manifests/${image.layerDescriptor.digest}`, 404, 'MANIFEST_UNKNOWN'],
    [`/v2/library/test/blobs/${digestOf('none')}`, 404, 'BLOB_UNKNOWN'],
    ['/v2/library/test/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd', 404, 'UNSUPPORTED'],
    ['/v2/library/test/blobs/sha256:xyz', 400, 'DIGEST_INVALID'],
    ['/v2/library/test/manifests/%2e%2e', 404, 'UNSUPPORTED'],
    ['/v2/library/test/manifests/a%20b', 400, 'MANIFEST_INVALID'],
    ['/v2/Upper/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/..%2f..%2fetc/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/library/test/manifests/%ff', 400, 'NAME_INVALID'],
    ['/v2/library/test/tags/other', 404, 'UNSUPPORTED'],
    ['/v2/library/test/tags/list?n=x', 400, 'SIZE_INVALID'],
    ['/etc/passwd', 404, 'UNSUPPORTED'],
  ] as const) {
    test(`GET ${path} gives ${status} ${code}`, async () => {
      await using at = await startRegistryWith(image);
      // Sent as it stands: fetch would tidy the path up.
      const response = await rawGet(at.registry.port, path);
      assert.match(response, new RegExp(`^HTTP/1.1 ${status} `));
      assert.ok(response.includes(`"code":"${code}"`), response);
    });
  }

  test('a path that leaves the layout finds nothing', async () => {
    await using at = await startRegistryWith(image);
    for (const path of [
      '/v2/../../../../etc/passwd',
      '/v2/library/test/blobs/../../../index.json',
      '//v2/x',
      '/v2/%00/manifests/v1',
    ]) {
      assert.match(await rawGet(at.registry.port, path), /^HTTP\/1.1 40[04] /, path);
    }
  });

  test('without `writable`, everything but reading is refused', async () => {
    await using at = await startRegistryWith(image);
    await using reader = await serveRegistry({ layoutDir: at.dir });
    assert.equal((await fetch(`${reader.url}${MANIFEST}`)).status, 200);
    for (const [method, path] of [
      ['POST', '/v2/library/test/blobs/uploads/'],
      ['PUT', MANIFEST],
      ['DELETE', MANIFEST],
      ['DELETE', BLOB],
      ['PATCH', '/v2/library/test/blobs/uploads/00000000-0000-0000-0000-000000000000'],
    ] as const) {
      assert.equal((await fetch(`${reader.url}${path}`, { method })).status, 405, `${method} ${path}`);
    }
  });

  test('no layout, no registry', async () => {
    using dir = tempDir('no-layout');
    await assert.rejects(serveRegistry({ layoutDir: dir.path }), (error) => isTslayerError(error, 'NOT_FOUND'));
    assert.deepEqual(readdirSync(dir.path), []);
  });

  test('what another process adds to the layout is seen at once', async () => {
    await using at = await startRegistryWith(image);
    await using reader = await serveRegistry({ layoutDir: at.dir });
    assert.equal((await fetch(`${reader.url}/v2/library/test/manifests/v2`)).status, 404);
    const index = JSON.parse(readFileSync(join(at.dir, 'index.json'), 'utf8'));
    const annotations = { 'org.opencontainers.image.ref.name': 'docker.io/library/late:v2' };
    index.manifests.push({ ...image.descriptor, annotations });
    writeFileSync(join(at.dir, 'index.json'), JSON.stringify(index));
    const statusOf = async (path: string) => (await fetch(`${reader.url}/v2/${path}`)).status;
    // A store's names begin with a registry; a mirror's clients leave it out.
    assert.equal(await statusOf('docker.io/library/late/manifests/v2'), 200);
    assert.equal(await statusOf('library/late/manifests/v2'), 200);
    assert.equal(await statusOf('library/late/manifests/v2?ns=docker.io'), 200);
    assert.equal(await statusOf('library/late/manifests/v2?ns=quay.io'), 404);
  });
});

describe('the embedded registry, writing', () => {
  const uploads = '/v2/library/new/blobs/uploads/';
  const bytes = randomBytes(10_000);
  const digest = digestOf(bytes);

  async function begin(url: string): Promise<string> {
    const response = await fetch(`${url}${uploads}`, { method: 'POST' });
    assert.equal(response.status, 202);
    return `${url}${response.headers.get('location')}`;
  }
  const patch = (url: string, part: Buffer, range?: string): Promise<Response> => {
    const init: RequestInit = {
      method: 'PATCH',
      body: part,
      ...(range !== undefined && { headers: { 'content-range': range } }),
    };
    return fetch(url, init);
  };

  test('in chunks, asked for its state, finished', async () => {
    await using at = await startRegistry();
    const location = await begin(at.registry.url);
    assert.equal((await patch(location, bytes.subarray(0, 4000), '0-3999')).headers.get('range'), '0-3999');
    const state = await fetch(location);
    assert.deepEqual([state.status, state.headers.get('range')], [204, '0-3999']);
    assert.equal((await patch(location, bytes.subarray(4000, 9000), '4000-8999')).status, 202);
    const done = await fetch(`${location}?digest=${digest}`, { method: 'PUT', body: bytes.subarray(9000) });
    assert.deepEqual([done.status, done.headers.get('docker-content-digest')], [201, digest]);
    const back = await fetch(`${at.registry.url}/v2/library/new/blobs/${digest}`);
    assert.ok(Buffer.from(await back.arrayBuffer()).equals(bytes));
    assert.equal((await fetch(location)).status, 404);
  });

  test('a chunk out of order is refused, and harms nothing', async () => {
    await using at = await startRegistry();
    const location = await begin(at.registry.url);
    await patch(location, bytes.subarray(0, 4000), '0-3999');
    const refused = await patch(location, bytes.subarray(5000), '5000-9999');
    assert.deepEqual([refused.status, refused.headers.get('range')], [416, '0-3999']);
    assert.equal((await patch(location, bytes.subarray(4000), '4000-9999')).status, 202);
    assert.equal((await fetch(`${location}?digest=${digest}`, { method: 'PUT' })).status, 201);
  });

  test('in one request, also with sha512', async () => {
    await using at = await startRegistry();
    for (const name of [digest, digestOf(bytes, 'sha512')]) {
      const response = await fetch(`${at.registry.url}${uploads}?digest=${name}`, { method: 'POST', body: bytes });
      assert.equal(response.status, 201);
      assert.equal((await fetch(`${at.registry.url}/v2/library/new/blobs/${name}`)).status, 200);
    }
  });

  test('bytes under a wrong digest are refused, and nothing is left of them', async () => {
    await using at = await startRegistry();
    const response = await fetch(`${at.registry.url}${uploads}?digest=${digestOf('another')}`, {
      method: 'POST',
      body: bytes,
    });
    assert.deepEqual([response.status, await codeOf(response)], [400, 'DIGEST_INVALID']);
    assert.deepEqual(readdirSync(join(at.dir, 'blobs/sha256')), []);
    assert.deepEqual(readdirSync(join(at.dir, '.uploads')), []);
  });

  test('a blob over the limit is refused', async () => {
    await using at = await startRegistry({ maxBlobBytes: 5000 });
    const location = await begin(at.registry.url);
    const response = await patch(location, bytes);
    assert.deepEqual([response.status, await codeOf(response)], [413, 'SIZE_INVALID']);
  });

  test('an upload is cancelled; another repository does not see it', async () => {
    await using at = await startRegistry();
    const location = await begin(at.registry.url);
    assert.equal((await fetch(location.replace('library/new', 'library/old'))).status, 404);
    assert.equal((await fetch(location, { method: 'DELETE' })).status, 204);
    assert.equal((await fetch(location)).status, 404);
    assert.deepEqual(readdirSync(join(at.dir, '.uploads')), []);
  });

  test('a manifest is taken when its blobs are here, is small enough, and is one', async () => {
    await using at = await startRegistry();
    const put = async (
      body: Buffer | string,
      reference = 'v1',
      type: string = OCI_MANIFEST,
    ): Promise<[number, string | undefined]> => {
      const url = `${at.registry.url}/v2/library/new/manifests/${reference}`;
      const response = await fetch(url, { method: 'PUT', body, headers: { 'content-type': type } });
      return [response.status, response.status === 201 ? undefined : await codeOf(response)];
    };
    assert.deepEqual(await put(image.manifest), [404, 'MANIFEST_BLOB_UNKNOWN']);
    assert.deepEqual(await put('{}'), [400, 'MANIFEST_INVALID']);
    assert.deepEqual(await put(image.manifest, 'v1', 'application/vnd.oci.image.index.v1+json'), [
      400,
      'MANIFEST_INVALID',
    ]);
    assert.deepEqual(await put(' '.repeat(5_000_000)), [413, 'SIZE_INVALID']);
    assert.deepEqual(await put(image.manifest, digestOf('another')), [400, 'DIGEST_INVALID']);
    const client = testClient();
    await pushImage(client, parseReference(`${at.registry.host}/library/new:v1`), image);
    await client.close();
    assert.deepEqual(await put(image.manifest, 'v2'), [201, undefined]);
  });

  test('a tag moves; deleting a tag keeps the others', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient();
    const reference = parseReference(`${at.registry.host}/library/test:v1`);
    const second = makeImage(1000);
    await client.pushManifest({ ...reference, tag: 'v2' }, image.manifest, OCI_MANIFEST);
    await pushImage(client, reference, second);
    assert.equal((await client.resolve(reference)).descriptor.digest, second.descriptor.digest);
    await client.deleteManifest(reference);
    assert.deepEqual(await collect(client.listTags(reference)), ['v2']);
    await assert.rejects(client.deleteManifest(reference), (error) => isTslayerError(error, 'NOT_FOUND'));
    await client.close();
  });

  test('fifty pushes at once all stand in the index', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient();
    const reference = parseReference(`${at.registry.host}/library/test`);
    const tags = Array.from({ length: 50 }, (_, n) => `t${n}`);
    await Promise.all(tags.map((tag) => client.pushManifest({ ...reference, tag }, image.manifest, OCI_MANIFEST)));
    assert.deepEqual(new Set(await collect(client.listTags(reference))), new Set([...tags, 'v1']));
    await client.close();
  });

  test('a connection that breaks leaves the upload where it was', async () => {
    await using at = await startRegistry();
    const location = await begin(at.registry.url);
    await new Promise<void>((resolve) => {
      const socket = connect(at.registry.port, '127.0.0.1', () => {
        socket.write(`PATCH ${new URL(location).pathname} HTTP/1.1\r\nhost: x\r\ncontent-length: 10000\r\n\r\n`);
        socket.write(bytes.subarray(0, 6000), () => setTimeout(() => socket.destroy(), 50));
      });
      socket.on('close', () => resolve());
    });
    const received = Number(/0-(\d+)/.exec((await fetch(location)).headers.get('range') ?? '')?.[1]) + 1;
    assert.ok(received > 1 && received <= 6000, `${received} bytes`);
    assert.equal((await patch(location, bytes.subarray(received), `${received}-9999`)).status, 202);
    assert.equal((await fetch(`${location}?digest=${digest}`, { method: 'PUT' })).status, 201);
  });

  test('referrers are kept by the registry', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient();
    const reference = parseReference(`${at.registry.host}/library/test:v1`);
    const empty = bytesSource(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json').descriptor;
    await client.pushBlob(reference, bytesSource(Buffer.from('{}')));
    const artifact = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        artifactType: 'a/sbom',
        config: empty,
        layers: [empty],
        subject: image.descriptor,
        annotations: { k: 'v' },
      }),
    );
    await client.pushManifest(
      { registry: reference.registry, repository: reference.repository, digest: digestOf(artifact) },
      artifact,
      OCI_MANIFEST,
    );
    const expected = {
      mediaType: OCI_MANIFEST,
      digest: digestOf(artifact),
      size: artifact.length,
      artifactType: 'a/sbom',
      annotations: { k: 'v' },
    };
    assert.deepEqual(await client.referrers(reference, image.descriptor.digest), [expected]);
    assert.deepEqual(await client.referrers(reference, image.descriptor.digest, { artifactType: 'a/other' }), []);
    assert.ok(!existsSync(join(at.dir, 'index.json.tmp')));
    await client.close();
  });

  test('a layout whose making was cut short is made whole', async () => {
    using dir = tempDir('cut-short');
    for (const name of ['oci-layout', 'index.json']) writeFileSync(join(dir.path, name), '');
    await using registry = await serveRegistry({ layoutDir: dir.path, writable: true });
    const client = testClient();
    const reference = parseReference(`${registry.host}/app:1`);
    await pushImage(client, reference, image);
    assert.deepEqual((await client.resolve(reference)).descriptor, image.descriptor);
    await client.close();
    assert.deepEqual(JSON.parse(readFileSync(join(dir.path, 'oci-layout'), 'utf8')), { imageLayoutVersion: '1.0.0' });
  });

  test('skopeo copies an image in and out again', async (t) => {
    if (!requires(t, program('skopeo'))) return;
    await using at = await startRegistryWith(image);
    using dir = tempDir('skopeo');
    const tls = ['--src-tls-verify=false', '--dest-tls-verify=false'];
    const source = `docker://${at.registry.host}/library/test:v1`;
    await runProgram('skopeo', ['copy', '--insecure-policy', ...tls, source, `oci:${join(dir.path, 'out')}:v1`]);
    await runProgram('skopeo', [
      'copy',
      '--insecure-policy',
      ...tls,
      `oci:${join(dir.path, 'out')}:v1`,
      `docker://${at.registry.host}/again:v9`,
    ]);
    const client = testClient();
    const again = parseReference(`${at.registry.host}/again:v9`);
    assert.deepEqual((await client.resolve(again)).descriptor, image.descriptor);
    assert.ok((await readBlob(client, again, image.layerDescriptor)).equals(image.layer));
    await client.close();
  });
});

function rawGet(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
    );
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}
