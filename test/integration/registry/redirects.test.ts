/** Where a registry leads its clients, and what they take along. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { staticCredential } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { OCI_LAYER_GZIP } from '../../../src/oci/media-types.ts';
import * as kinds from '../../support/fault-kinds.ts';
import type { Fault } from '../../support/fault-proxy.ts';
import { faultyRegistry } from '../../support/faulty-registry.ts';
import { bytesSource, makeImage, readBlob, testClient } from '../../support/registry-content.ts';
import { startStranger } from '../../support/stranger.ts';
import { basicGate } from '../../support/token-gate.ts';

const image = makeImage(100_000);
const blob = image.layerDescriptor;
const PASSWORD = 'correct horse battery staple';

describe('redirects', () => {
  const proxy = faultyRegistry(image);
  const repository = () => ({ registry: proxy.host, repository: 'library/test' });
  /** Wants a password; who has it is sent elsewhere. */
  const gatedRedirect = (to: string | ((path: string) => string)): Fault => {
    const gate = basicGate('ada', PASSWORD);
    return (context) => (context.request.headers.authorization ? kinds.redirectTo(to)(context) : gate(context));
  };
  const loggedIn = () => testClient({ credentials: staticCredential(proxy.host, 'ada', PASSWORD) });

  test('a blob comes from where the registry leads', async () => {
    await using cdn = await startStranger(image.layer);
    proxy.fault({ act: gatedRedirect(`${cdn.url}/data?signature=s3cr3t`), times: 99 });
    const client = loggedIn();
    assert.ok((await readBlob(client, repository(), blob)).equals(image.layer));
    assert.equal(cdn.requests.length, 1);
    await client.close();
  });

  test('Authorization does not go to another port of the same host (CVE-2020-15157 and its kin)', async () => {
    await using cdn = await startStranger(image.layer);
    proxy.fault({ act: gatedRedirect(`${cdn.url}/data`), times: 99 });
    const client = loggedIn();
    await readBlob(client, repository(), blob, { offset: 50_000 });
    assert.equal(cdn.requests[0]?.headers.range, 'bytes=50000-');
    assert.equal(cdn.requests[0]?.headers.authorization, undefined);
    assert.ok(proxy.exchanges.some(({ headers }) => headers.authorization !== undefined));
    await client.close();
  });

  test('a redirect within the registry keeps Authorization', async () => {
    const gate = basicGate('ada', PASSWORD);
    proxy.fault({
      times: 99,
      act: (context) => {
        if (context.request.url?.endsWith('?moved')) return gate(context);
        return context.request.headers.authorization
          ? kinds.redirectTo((path) => `${path}?moved`)(context)
          : gate(context);
      },
    });
    const client = loggedIn();
    assert.ok((await readBlob(client, repository(), blob)).equals(image.layer));
    await client.close();
  });

  test('a 401 from where a redirect leads is not answered', async () => {
    const challenge = { 'www-authenticate': 'Basic realm="give it to me"' };
    await using thief = await startStranger(() => ({ status: 401, headers: challenge }));
    proxy.fault({ act: gatedRedirect(thief.url), times: 99 });
    const client = loggedIn();
    await assert.rejects(readBlob(client, repository(), blob), (error) => isTslayerError(error, 'NETWORK'));
    assert.ok(thief.requests.length > 0);
    assert.ok(thief.requests.every(({ headers }) => headers.authorization === undefined));
    await client.close();
  });

  test('an expired address is asked for again', async () => {
    await using cdn = await startStranger((count) =>
      count === 1 ? { status: 403, body: 'expired' } : { body: image.layer },
    );
    proxy.fault({ act: kinds.redirectTo((path) => `${cdn.url}${path}`), times: 99 });
    const client = testClient();
    assert.ok((await readBlob(client, repository(), blob)).equals(image.layer));
    assert.equal(proxy.exchanges.length, 2);
    assert.equal(cdn.requests.length, 2);
    await client.close();
  });

  test('a redirect loop ends', async () => {
    proxy.fault({ act: kinds.redirectTo((path) => path), times: 99 });
    const client = testClient();
    await assert.rejects(readBlob(client, repository(), blob), (error) => isTslayerError(error, 'DENIED'));
    assert.equal(proxy.exchanges.length, 11);
    await client.close();
  });

  test('ten redirects are followed', async () => {
    const hops = (path: string) => Number(/hop=(\d+)/.exec(path)?.[1] ?? 0);
    const next: Fault = (context) => {
      const hop = hops(context.exchange.path);
      const to = (path: string) => `${path.split('?')[0]}?hop=${hop + 1}`;
      return hop < 10 ? kinds.redirectTo(to)(context) : kinds.changed((answer) => answer)(context);
    };
    proxy.fault({ act: next, times: 99 });
    const client = testClient();
    assert.ok((await readBlob(client, repository(), blob)).equals(image.layer));
    assert.equal(proxy.exchanges.length, 11);
    await client.close();
  });

  for (const [what, location] of [
    ['a file', 'file:///etc/passwd'],
    ['nothing', 'http://'],
    ['an address with a password in it', 'http://user:pass@127.0.0.1:1/'],
    ['another protocol', 'gopher://127.0.0.1/'],
  ] as const) {
    test(`a redirect to ${what} is refused`, async () => {
      proxy.fault({ act: kinds.redirectTo(location), times: 99 });
      const client = testClient();
      await assert.rejects(readBlob(client, repository(), blob), (error) => {
        return isTslayerError(error, 'DENIED') && !error.message.includes('pass@');
      });
      assert.equal(proxy.exchanges.length, 1);
      await client.close();
    });
  }

  test('a push is not led elsewhere', async () => {
    await using thief = await startStranger(() => ({ status: 201 }));
    proxy.fault({ on: /^POST/, act: kinds.redirectTo(`${thief.url}/up`), times: 99 });
    const client = testClient();
    const source = bytesSource(Buffer.from('private bytes'));
    await assert.rejects(client.pushBlob(repository(), source), (error) => isTslayerError(error, 'DENIED'));
    assert.equal(thief.requests.length, 0);
    await client.close();
  });

  test('an upload address on another host gets the bytes that it is for, and no Authorization', async () => {
    await using store = await startStranger(() => ({ status: 201 }));
    const gate = basicGate('ada', PASSWORD);
    proxy.fault({
      on: /^POST/,
      times: 99,
      act: (context) => {
        if (!context.request.headers.authorization) return gate(context);
        return kinds.status(202, { location: `${store.url}/up?ticket=1` })(context);
      },
    });
    proxy.fault({ act: gate, times: 99 });
    const client = loggedIn();
    assert.equal(await client.pushBlob(repository(), bytesSource(Buffer.from('bytes'))), 'uploaded');
    assert.equal(store.requests[0]?.method, 'PUT');
    assert.match(store.requests[0]?.path ?? '', /^\/up\?ticket=1&digest=sha256%3A/);
    assert.equal(store.requests[0]?.headers.authorization, undefined);
    await client.close();
  });

  test('a foreign layer is fetched only when asked for, and without credentials', async () => {
    await using elsewhere = await startStranger(image.layer);
    const mediaType = OCI_LAYER_GZIP.replace('layer.', 'layer.nondistributable.');
    const foreign = { ...bytesSource(Buffer.from('not in the registry')).descriptor, mediaType };
    const descriptor = { ...foreign, size: image.layer.length, urls: [`${elsewhere.url}/layer`] };
    const credentials = staticCredential(proxy.host, 'ada', PASSWORD);
    const careful = testClient({ credentials });
    await assert.rejects(readBlob(careful, repository(), descriptor), (error) => isTslayerError(error, 'NOT_FOUND'));
    assert.equal(elsewhere.requests.length, 0);
    const client = testClient({ credentials, foreignLayers: true });
    assert.ok((await readBlob(client, repository(), descriptor)).equals(image.layer));
    assert.equal(elsewhere.requests[0]?.headers.authorization, undefined);
    await Promise.all([careful.close(), client.close()]);
  });
});
