/** Several places that may answer: mirrors, both schemes, proxies; and what the error says when none does. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import { collect } from '../../support/collect.ts';
import * as kinds from '../../support/fault-kinds.ts';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { startHttpProxy } from '../../support/http-proxy.ts';
import { makeCertificates } from '../../support/registry-certs.ts';
import {
  makeImage,
  pushImage,
  readBlob,
  startRegistry,
  startRegistryWith,
  testClient,
} from '../../support/registry-content.ts';
import { program, requires } from '../../support/requires.ts';
import { startStranger } from '../../support/stranger.ts';
import { tempDir } from '../../support/temp-dir.ts';

const image = makeImage(400_000);
const blob = image.layerDescriptor;

describe('mirrors', () => {
  test('the first that has it is used; the registry is not asked', async () => {
    await using mirror = await startRegistryWith(image);
    const client = testClient({ mirrors: { 'docker.io': [mirror.registry.url] } });
    const reference = parseReference('test:v1');
    assert.equal((await client.resolve(reference)).endpoint, mirror.registry.url);
    assert.ok((await readBlob(client, reference, blob)).equals(image.layer));
    await client.close();
  });

  test('a mirror that lacks it, one that is down and one that is ill are passed over', async () => {
    await using registry = await startRegistryWith(image);
    await using empty = await startRegistry();
    await using ill = await startFaultProxy(registry.registry.url);
    ill.fault({ act: kinds.status(500), times: 99 });
    const { host } = registry.registry;
    const mirrors = { [host]: [empty.registry.url, 'http://127.0.0.1:1', ill.url] };
    const client = testClient({ mirrors });
    const resolved = await client.resolve(parseReference(`${host}/library/test:v1`));
    assert.equal(resolved.endpoint, registry.registry.url);
    assert.ok((await readBlob(client, { registry: host, repository: 'library/test' }, blob)).equals(image.layer));
    // Two tries each: there is another endpoint behind it.
    assert.ok(ill.exchanges.length <= 4, `${ill.exchanges.length} requests`);
    await client.close();
  });

  test('a blob that breaks at a mirror goes on at the registry, at the same byte', async () => {
    await using registry = await startRegistryWith(image);
    await using mirror = await startFaultProxy(registry.registry.url);
    await using origin = await startFaultProxy(registry.registry.url);
    mirror.fault({ act: kinds.cutAfter(100_000) }, { act: kinds.status(503), times: 99 });
    const client = testClient({ mirrors: { [origin.host]: [mirror.url] } });
    const bytes = await readBlob(client, { registry: origin.host, repository: 'library/test' }, blob);
    assert.ok(bytes.equals(image.layer));
    assert.equal(origin.exchanges.length, 1);
    assert.equal(origin.exchanges[0]?.headers.range, 'bytes=100000-');
    assert.equal(origin.blobBytes, 300_000);
    await client.close();
  });

  test('an endpoint whose bytes were wrong is asked last', async () => {
    await using registry = await startRegistryWith(image);
    await using mirror = await startFaultProxy(registry.registry.url);
    mirror.fault({ act: kinds.corruptAt(5), times: 99 });
    const { host } = registry.registry;
    const client = testClient({ mirrors: { [host]: [mirror.url] } });
    const repository = { registry: host, repository: 'library/test' };
    assert.ok(!(await readBlob(client, repository, blob)).equals(image.layer));
    const again = await client.fetchBlob(repository, blob, { avoid: [mirror.url] });
    assert.equal(again.endpoint, registry.registry.url);
    assert.ok(Buffer.concat(await collect(again)).equals(image.layer));
    await client.close();
  });

  test('a dead mirror costs its time once', async () => {
    await using registry = await startRegistryWith(image);
    await using dead = await startFaultProxy(registry.registry.url);
    dead.fault({ act: kinds.silence, times: 99 });
    const { host } = registry.registry;
    const client = testClient({ mirrors: { [host]: [dead.url] }, timeouts: { responseMs: 100 } });
    await client.resolve(parseReference(`${host}/library/test:v1`));
    const asked = dead.exchanges.length;
    for (let n = 0; n < 5; n++) await readBlob(client, { registry: host, repository: 'library/test' }, blob);
    assert.equal(dead.exchanges.length, asked);
    await client.close();
  });

  test('when none answers, the error says why each was passed over', async () => {
    await using registry = await startRegistryWith(image);
    await using ill = await startFaultProxy(registry.registry.url);
    await using empty = await startRegistry();
    ill.fault({ act: kinds.status(502), times: 99 });
    const { host } = empty.registry;
    const client = testClient({ mirrors: { [host]: [ill.url, 'http://127.0.0.1:1'] } });
    await assert.rejects(client.resolve(parseReference(`${host}/library/test:v1`)), (error) => {
      assert.ok(isTslayerError(error, 'NOT_FOUND'), `${error}`);
      for (const part of [empty.registry.url, `${ill.url} answered 502`, 'http://127.0.0.1:1: connection refused']) {
        assert.ok(error.message.includes(part), `${error.message} lacks ${part}`);
      }
      return true;
    });
    await client.close();
  });

  test('pushes, tags and pings go to the registry itself', async () => {
    await using mirror = await startFaultProxy('http://127.0.0.1:1');
    await using registry = await startRegistry();
    const { host } = registry.registry;
    const client = testClient({ mirrors: { [host]: [mirror.url] } });
    const reference = parseReference(`${host}/library/test:v1`);
    await client.ping(host);
    await pushImage(client, reference, image);
    assert.deepEqual(await collect(client.listTags(reference)), ['v1']);
    assert.equal(mirror.exchanges.length, 0);
    await client.close();
  });

  test('explain tells where requests would go, without sending any', async () => {
    await using mirror = await startFaultProxy('http://127.0.0.1:1');
    using home = tempDir('explain');
    mkdirSync(join(home.path, '.docker'));
    const auth = Buffer.from('ada:secret').toString('base64');
    writeFileSync(join(home.path, '.docker/config.json'), JSON.stringify({ auths: { 'docker.io': { auth } } }));
    const client = testClient({ mirrors: { 'docker.io': [mirror.url] }, env: { HOME: home.path } });
    const plan = await client.explain(parseReference('alpine'));
    assert.deepEqual(plan, [
      {
        url: `${mirror.url}/v2`,
        repository: 'library/alpine',
        source: 'mirror in the options',
        capabilities: ['resolve', 'pull'],
      },
      {
        url: 'https://registry-1.docker.io/v2',
        repository: 'library/alpine',
        source: 'registry',
        capabilities: ['resolve', 'pull', 'push'],
        credentials: join(home.path, '.docker/config.json'),
      },
    ]);
    assert.equal(mirror.exchanges.length, 0);
    await client.close();
  });
});

describe('schemes', () => {
  test('a loopback registry with TLS is found without being told; HTTP is then left alone', async (t) => {
    if (!requires(t, program('openssl'))) return;
    using dir = tempDir('tls');
    const { server, authority } = makeCertificates(dir.path);
    await using at = await startRegistry({ tls: server });
    const certs = join(dir.path, 'docker/certs.d', at.registry.host);
    mkdirSync(certs, { recursive: true });
    writeFileSync(join(certs, 'ca.crt'), authority.cert);
    const lines: string[] = [];
    const client = testClient({ etc: dir.path, trace: (line) => lines.push(line) });
    const reference = parseReference(`${at.registry.host}/library/test:v1`);
    await pushImage(client, reference, image);
    lines.length = 0;
    assert.deepEqual((await client.resolve(reference)).endpoint, at.registry.url);
    assert.ok((await readBlob(client, reference, blob)).equals(image.layer));
    assert.equal(lines.filter((line) => line.includes('http://')).length, 0);
    await client.close();
  });

  test('a redirect from https to http is refused', async (t) => {
    if (!requires(t, program('openssl'))) return;
    using dir = tempDir('tls');
    const { server } = makeCertificates(dir.path);
    await using stranger = await startStranger(image.layer);
    const { createServer } = await import('node:https');
    const secure = createServer({ cert: server.cert, key: server.key }, (_request, response) => {
      response.writeHead(307, { location: `${stranger.url}/x`, 'content-length': 0 }).end();
    });
    await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
    const { port } = secure.address() as { port: number };
    const client = testClient({ insecure: [`127.0.0.1:${port}`] });
    await assert.rejects(readBlob(client, { registry: `127.0.0.1:${port}`, repository: 'x' }, blob), (error) => {
      return isTslayerError(error, 'DENIED') && /not encrypted/.test(error.message);
    });
    assert.equal(stranger.requests.length, 0);
    await client.close();
    secure.closeAllConnections();
    await new Promise((resolve) => secure.close(resolve));
  });

  test('a registry that is not there is given up after a moment, with one reason', async () => {
    const client = testClient();
    const events: ProgressEvent[] = [];
    const resolving = client.resolve(parseReference('127.0.0.1:1/x'), { onProgress: (event) => events.push(event) });
    await assert.rejects(
      resolving,
      (error) => isTslayerError(error, 'NETWORK') && /: connection refused$/.test(error.message),
    );
    assert.equal(events.filter(({ type }) => type === 'retry').length, 2);
    await client.close();
  });

  test('a host name that does not resolve', async () => {
    const client = testClient();
    await assert.rejects(client.resolve(parseReference('registry.invalid/x')), (error) => {
      return (
        isTslayerError(error, 'NETWORK') && /registry\.invalid: the host name cannot be resolved/.test(error.message)
      );
    });
    await client.close();
  });
});

describe('proxies', () => {
  const reference = parseReference('registry.test/library/test:v1');

  test('plain requests name the whole address', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startHttpProxy(at.registry.port, 'ada:proxy-secret');
    const lines: string[] = [];
    const env = { HOME: '/nonexistent', http_proxy: `http://ada:proxy-secret@${proxy.host}` };
    const client = testClient({ plainHttp: ['registry.test'], env, trace: (line) => lines.push(line) });
    await client.fetchManifest(reference);
    assert.ok((await readBlob(client, reference, blob)).equals(image.layer));
    assert.deepEqual(proxy.requests, [
      'GET http://registry.test/v2/library/test/manifests/v1',
      `GET http://registry.test/v2/library/test/blobs/${blob.digest}`,
    ]);
    assert.ok(!lines.join().includes('proxy-secret'));
    await client.close();
  });

  test('encrypted requests go through a tunnel', async (t) => {
    if (!requires(t, program('openssl'))) return;
    using dir = tempDir('tls');
    const { server, authority } = makeCertificates(dir.path);
    await using at = await startRegistry({ tls: server });
    await using proxy = await startHttpProxy(at.registry.port);
    mkdirSync(join(dir.path, 'docker/certs.d/registry.test'), { recursive: true });
    writeFileSync(join(dir.path, 'docker/certs.d/registry.test/ca.crt'), authority.cert);
    const client = testClient({ etc: dir.path, env: { HOME: '/nonexistent', HTTPS_PROXY: proxy.host } });
    await pushImage(client, reference, image);
    assert.ok((await readBlob(client, reference, blob)).equals(image.layer));
    assert.ok(
      proxy.requests.every((line) => line === 'CONNECT registry.test:443'),
      proxy.requests.join(),
    );
    assert.ok(proxy.requests.length <= 4, 'tunnels are kept');
    await client.close();
  });

  test('a proxy that wants a password says so', async () => {
    await using proxy = await startHttpProxy(1, 'ada:secret');
    const client = testClient({ env: { HOME: '/nonexistent', HTTPS_PROXY: proxy.host } });
    await assert.rejects(client.resolve(reference), (error) => {
      return (
        isTslayerError(error, 'DENIED') && error.message.includes('407') && error.hint?.includes('HTTPS_PROXY') === true
      );
    });
    await client.close();
  });

  test('NO_PROXY goes directly', async () => {
    await using proxy = await startHttpProxy(1);
    const client = testClient({ env: { HOME: '/nonexistent', ALL_PROXY: proxy.host, NO_PROXY: 'registry.invalid' } });
    await assert.rejects(client.resolve(parseReference('registry.invalid/x')), (error) =>
      isTslayerError(error, 'NETWORK'),
    );
    assert.deepEqual(proxy.requests, []);
    await client.close();
  });
});
