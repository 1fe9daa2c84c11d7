/** Transfers as a whole: several ranges at once, limits, giving up, and pushes that break. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import fetch from 'node-fetch';
import type { Limits } from '../../../registry-client/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { ProgressEvent } from '../../../src/progress.ts';
import * as kinds from '../../support/fault-kinds.ts';
import { type Fault, startFaultProxy } from '../../support/fault-proxy.ts';
import {
  bytesSource,
  makeImage,
  readBlob,
  startRegistry,
  startRegistryWith,
  testClient,
} from '../../support/registry-content.ts';

const image = makeImage(2_500_000);
const blob = image.layerDescriptor;

describe('several ranges of one blob at once', () => {
  /** Each connection gets 1 MB/s at most. */
  const thin = kinds.slow(20_000, 20);
  const parallel = { parallelBytes: 1_000_000, rangesPerBlob: 4, parallelProbeMs: 150 };

  test('are asked for where each connection is slow, and give the right bytes', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    const repository = { registry: proxy.host, repository: 'library/test' };
    const requests = async (limits: Partial<Limits>): Promise<number> => {
      proxy.reset();
      proxy.fault({ act: thin, times: 99 });
      const client = testClient({ limits });
      assert.ok((await readBlob(client, repository, blob)).equals(image.layer));
      await client.close();
      return proxy.exchanges.length;
    };
    const alone = await requests({ parallelBytes: 0 });
    const together = await requests(parallel);
    assert.ok(together >= alone + 3, `${together} requests with several, ${alone} with one`);
    assert.ok(proxy.blobBytes < blob.size * 1.3, `${proxy.blobBytes} bytes`);
  });

  test('a range that breaks goes on by itself', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    proxy.fault({ act: thin }, { act: kinds.cutAfter(50_000), times: 3 }, { act: thin, times: 99 });
    const client = testClient({ limits: parallel });
    assert.ok((await readBlob(client, { registry: proxy.host, repository: 'library/test' }, blob)).equals(image.layer));
    await client.close();
  });

  test('a server without ranges is left with one stream', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    proxy.fault({ act: thin }, { act: kinds.ignoreRange, times: 99 });
    const client = testClient({ limits: parallel });
    assert.ok((await readBlob(client, { registry: proxy.host, repository: 'library/test' }, blob)).equals(image.layer));
    assert.equal(proxy.exchanges.length, 2);
    await client.close();
  });
});

describe('limits', () => {
  test('bytes a second, over all transfers', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient({ limits: { bytesPerSecond: 5_000_000 } });
    const repository = { registry: at.registry.host, repository: 'library/test' };
    const started = performance.now();
    await Promise.all([readBlob(client, repository, blob), readBlob(client, repository, blob)]);
    const seconds = (performance.now() - started) / 1000;
    // 5 MB at 5 MB/s, of which half a second is granted in advance.
    assert.ok(seconds > 0.4, `${seconds} s`);
    await client.close();
  });

  test('transfers at once; one that waits can be given up', async () => {
    await using at = await startRegistryWith(image);
    const client = testClient({ limits: { transfers: 1 } });
    const repository = { registry: at.registry.host, repository: 'library/test' };
    const first = await client.fetchBlob(repository, blob);
    await assert.rejects(client.fetchBlob(repository, blob, { signal: AbortSignal.timeout(30) }), (error) =>
      isTslayerError(error, 'ABORTED'),
    );
    const waiting = readBlob(client, repository, blob);
    await delay(30);
    first.close();
    assert.ok((await waiting).equals(image.layer));
    await client.close();
  });
});

describe('giving up', () => {
  test('an abort ends a blob in the middle, and its connection', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    proxy.fault({ act: kinds.slow(10_000, 20), times: 9 });
    const client = testClient();
    const controller = new AbortController();
    const reading = readBlob(client, { registry: proxy.host, repository: 'library/test' }, blob, {
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(), 100);
    await assert.rejects(reading, (error) => isTslayerError(error, 'ABORTED'));
    assert.equal(proxy.exchanges.length, 1);
    await delay(50);
    assert.equal(await proxy.connections(), 0);
    await client.close();
  });

  test('an abort ends the wait for the next try', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    proxy.fault({ act: kinds.status(429, { 'retry-after': '60' }), times: 9 });
    const client = testClient();
    const started = performance.now();
    const signal = AbortSignal.timeout(50);
    await assert.rejects(
      readBlob(client, { registry: proxy.host, repository: 'library/test' }, blob, { signal }),
      (error) => isTslayerError(error, 'ABORTED'),
    );
    assert.ok(performance.now() - started < 30_000, 'half of what the registry asked to wait');
    await client.close();
  });

  test('a reader that stops early leaves nothing open', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    const client = testClient({ limits: { transfers: 1 } });
    const repository = { registry: proxy.host, repository: 'library/test' };
    for await (const _chunk of await client.fetchBlob(repository, blob)) break;
    assert.ok((await readBlob(client, repository, blob)).equals(image.layer));
    await client.close();
  });

  test('a slow reader is no stalled server', async () => {
    await using at = await startRegistryWith(image);
    await using proxy = await startFaultProxy(at.registry.url);
    const client = testClient({ timeouts: { stallMs: 50 } });
    let total = 0;
    let paused = 0;
    for await (const chunk of await client.fetchBlob({ registry: proxy.host, repository: 'library/test' }, blob)) {
      total += chunk.length;
      if (paused++ < 3) await delay(150);
    }
    assert.equal(total, blob.size);
    assert.equal(proxy.exchanges.length, 1);
    await client.close();
  });
});

describe('chunks that are only passing through', () => {
  test('are whole until the next one is asked for, also when the reader is slow', async () => {
    const large = makeImage(8_000_000);
    await using at = await startRegistryWith(large);
    const client = testClient();
    const repository = { registry: at.registry.host, repository: 'library/test' };
    const wanted = large.layerDescriptor;
    const memory = new Set<ArrayBufferLike>();
    let position = 0;
    for await (const chunk of await client.fetchBlob(repository, wanted, { transient: true })) {
      // More comes in meanwhile, and must not come in here.
      await delay(5);
      assert.ok(large.layer.subarray(position, position + chunk.length).equals(chunk), `byte ${position}`);
      memory.add(chunk.buffer);
      position += chunk.length;
    }
    assert.equal(position, wanted.size);
    assert.ok(memory.size <= 6, `${memory.size} pieces of memory`);
    assert.ok((await readBlob(client, repository, wanted)).equals(large.layer), 'the same connection, chunks kept');
    await client.close();
  });
});

describe('a push on a bad day', () => {
  const bytes = image.layer;
  const source = bytesSource(bytes);
  const requestsOf = (exchanges: readonly { method: string }[]) => exchanges.map(({ method }) => method).join(' ');

  /** Takes that many bytes of the upload over to the registry, then breaks the connection. */
  const cutUploadAfter =
    (length: number, upstream: string): Fault =>
    async ({ request }) => {
      const parts: Buffer[] = [];
      let total = 0;
      for await (const chunk of request) {
        parts.push(chunk);
        total += chunk.length;
        if (total >= length) break;
      }
      const body = Buffer.concat(parts).subarray(0, length);
      await fetch(`${upstream}${request.url}`, { method: 'PATCH', body });
      request.socket.destroy();
    };

  /** The same, and the registry sees nothing of it. */
  const lostAfter =
    (length: number): Fault =>
    async ({ request }) => {
      let total = 0;
      for await (const chunk of request) {
        total += chunk.length;
        if (total >= length) break;
      }
      request.socket.destroy();
    };

  async function pushed(
    faults: (upstream: string) => Parameters<Awaited<ReturnType<typeof startFaultProxy>>['fault']>,
    limits = {},
  ) {
    await using at = await startRegistry();
    await using proxy = await startFaultProxy(at.registry.url);
    proxy.fault(...faults(at.registry.url));
    const events: ProgressEvent[] = [];
    const client = testClient({ limits });
    const repository = { registry: proxy.host, repository: 'library/new' };
    const outcome = await client
      .pushBlob(repository, source, { onProgress: (event) => events.push(event) })
      .catch((error: unknown) => error);
    const asked = requestsOf(proxy.exchanges);
    proxy.reset();
    const there = outcome === 'uploaded' && (await readBlob(client, repository, source.descriptor)).equals(bytes);
    await client.close();
    return { outcome, asked, there, events };
  }

  test('nothing goes wrong', async () => {
    const { outcome, asked, there, events } = await pushed(() => []);
    assert.deepEqual([outcome, asked, there], ['uploaded', 'HEAD POST PATCH PUT', true]);
    const last = events.findLast((event) => event.type === 'transfer');
    assert.deepEqual(last, { type: 'transfer', digest: digestOf(bytes), bytes: bytes.length, total: bytes.length });
  });

  test('a broken upload is asked how far it came, and goes on', async () => {
    const { asked, there } = await pushed((upstream) => [{ on: /^PATCH/, act: cutUploadAfter(1_500_000, upstream) }]);
    assert.deepEqual([asked, there], ['HEAD POST PATCH GET PATCH PUT', true]);
  });

  test('also when nobody answers at first', async () => {
    const { asked, there } = await pushed((upstream) => [
      { on: /^PATCH/, act: cutUploadAfter(1_500_000, upstream) },
      { on: /^GET .*uploads/, act: kinds.reset, times: 2 },
    ]);
    assert.deepEqual([asked, there], ['HEAD POST PATCH GET GET GET PATCH PUT', true]);
  });

  test('in chunks, where a proxy holds each request back until it is whole', async () => {
    const { asked, there } = await pushed(() => [{ on: /^PATCH/, act: lostAfter(1_500_000) }], {
      brokenUploadChunkBytes: 1_000_000,
    });
    assert.deepEqual([asked, there], ['HEAD POST PATCH GET PATCH PATCH PATCH PUT', true]);
  });

  test('one that takes not a byte more is given up for a new one', async () => {
    const { asked, there } = await pushed((upstream) => [
      { on: /^PATCH/, act: cutUploadAfter(1_500_000, upstream) },
      { on: /^PATCH/, act: kinds.status(409), times: 2 },
    ]);
    assert.deepEqual([asked, there], ['HEAD POST PATCH GET PATCH GET PATCH POST PATCH PUT', true]);
  });

  test('an upload that the registry forgot starts anew', async () => {
    const { asked, there } = await pushed((upstream) => [
      { on: /^PATCH/, act: cutUploadAfter(1_500_000, upstream) },
      { on: /^GET .*uploads/, act: kinds.status(404) },
    ]);
    assert.deepEqual([asked, there], ['HEAD POST PATCH GET POST PATCH PUT', true]);
  });

  test('500 on a chunk, then 416: the registry is asked each time', async () => {
    const { there } = await pushed(() => [
      { on: /^PATCH/, act: kinds.status(500) },
      { on: /^PATCH/, act: kinds.status(416) },
    ]);
    assert.equal(there, true);
  });

  test('chunks, no smaller than the registry allows', async () => {
    const { asked, there } = await pushed(
      () => [{ on: /^POST/, act: kinds.withHeaders({ 'oci-chunk-min-length': '1100000' }) }],
      { uploadChunkBytes: 1_000_000 },
    );
    assert.deepEqual([asked, there], ['HEAD POST PATCH PATCH PATCH PUT', true]);
  });

  test('a small blob goes in one request', async () => {
    const { asked, there } = await pushed(() => [], { monolithicBytes: 10_000_000 });
    assert.deepEqual([asked, there], ['HEAD POST PUT', true]);
  });

  test('a final request that breaks is repeated', async () => {
    const { there } = await pushed(() => [{ on: /^PUT/, act: kinds.reset }]);
    assert.equal(there, true);
  });

  test('a refusal in the middle of the body is told, not the broken pipe', async () => {
    const tooLarge: Fault = ({ response }) => void response.writeHead(413, { connection: 'close' }).end();
    const { outcome, asked } = await pushed(() => [{ on: /^PATCH/, act: tooLarge, times: 9 }]);
    assert.ok(isTslayerError(outcome, 'LIMIT_EXCEEDED'), `${outcome}`);
    assert.equal(asked, 'HEAD POST PATCH');
  });

  test('a registry that never takes a byte is given up', async () => {
    const { outcome } = await pushed(() => [{ on: /^PATCH/, act: kinds.reset, times: 99 }]);
    assert.ok(isTslayerError(outcome, 'NETWORK'), `${outcome}`);
  });

  test('a source that is shorter than its descriptor is an error, and is not retried', async () => {
    await using at = await startRegistry();
    const client = testClient();
    const short = { ...source, descriptor: { ...source.descriptor, size: bytes.length + 1 } };
    await assert.rejects(client.pushBlob({ registry: at.registry.host, repository: 'x' }, short), (error) =>
      isTslayerError(error, 'SIZE_MISMATCH'),
    );
    await client.close();
  });
});
