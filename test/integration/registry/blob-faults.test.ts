/** Blobs from a registry on a bad day: what arrives, what it costs in requests and bytes, what is left behind. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RegistryClient } from '../../../registry-client/client.ts';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import * as kinds from '../../support/fault-kinds.ts';
import type { FaultProxy, FaultRule } from '../../support/fault-proxy.ts';
import { faultyRegistry } from '../../support/faulty-registry.ts';
import { makeImage, readBlob, testClient } from '../../support/registry-content.ts';

const SIZE = 200_000;
const image = makeImage(SIZE);
const blob = image.layerDescriptor;

interface Scenario {
  readonly name: string;
  readonly faults: readonly FaultRule[];
  readonly offset?: number;
  /** What must come: the right bytes (default), bytes that the digest finds wrong, or an error. */
  readonly gives?: 'blob' | 'wrong digest' | ErrorCode;
  /** Requests at most, and at least where fewer would mean that nothing was tried. */
  readonly requests: number | readonly [least: number, most: number];
  /** Bytes of blobs that may cross the wire. */
  readonly bytes: number;
}

const blobs = /\/blobs\//;
const on = (act: FaultRule['act'], times = 1): FaultRule => ({ on: blobs, act, times });

const scenarios: readonly Scenario[] = [
  { name: 'nothing goes wrong', faults: [], requests: 1, bytes: SIZE },
  { name: 'nothing goes wrong from an offset on', faults: [], offset: 150_000, requests: 1, bytes: 50_000 },
  { name: 'all bytes are there already', faults: [], offset: SIZE, requests: 0, bytes: 0 },
  { name: 'cut once', faults: [on(kinds.cutAfter(90_000))], requests: 2, bytes: SIZE },
  { name: 'cut before the first byte', faults: [on(kinds.cutAfter(0))], requests: 2, bytes: SIZE },
  { name: 'cut one byte before the end', faults: [on(kinds.cutAfter(SIZE - 1))], requests: 2, bytes: SIZE },
  {
    name: 'cut ten times, with progress each time',
    faults: [on(kinds.cutAfter(15_000), 10)],
    requests: 11,
    bytes: SIZE,
  },
  { name: 'cut at random places', faults: [on(kinds.cutAtRandom, 3)], requests: 4, bytes: SIZE },
  {
    name: 'cut always, without progress',
    faults: [on(kinds.cutAfter(0), 99)],
    gives: 'NETWORK',
    requests: [4, 4],
    bytes: 0,
  },
  {
    name: 'cut always, after too few bytes',
    faults: [on(kinds.cutAfter(10), 99)],
    gives: 'NETWORK',
    requests: [4, 4],
    bytes: 40,
  },
  { name: 'reset before the answer', faults: [on(kinds.reset)], requests: 2, bytes: SIZE },
  { name: 'stalled in the middle', faults: [on(kinds.stallAfter(100_000))], requests: 2, bytes: SIZE },
  { name: 'stalled before the answer', faults: [on(kinds.silence)], requests: 2, bytes: SIZE },
  { name: 'stalled always', faults: [on(kinds.stallAfter(0), 99)], gives: 'NETWORK', requests: [4, 4], bytes: 0 },
  { name: 'slow, but never silent for long', faults: [on(kinds.slow(25_000, 100))], requests: 1, bytes: SIZE },
  { name: '500 once', faults: [on(kinds.status(500))], requests: 2, bytes: SIZE },
  { name: '502 and 503 in a row', faults: [on(kinds.status(502)), on(kinds.status(503))], requests: 3, bytes: SIZE },
  { name: '504 always', faults: [on(kinds.status(504), 99)], gives: 'NETWORK', requests: [4, 4], bytes: 0 },
  { name: '408 once', faults: [on(kinds.status(408))], requests: 2, bytes: SIZE },
  { name: '429 without Retry-After', faults: [on(kinds.status(429))], requests: 2, bytes: SIZE },
  { name: '429 with Retry-After', faults: [on(kinds.status(429, { 'retry-after': '1' }))], requests: 2, bytes: SIZE },
  {
    name: '429 that asks for an hour',
    faults: [on(kinds.status(429, { 'retry-after': '3600' }), 99)],
    gives: 'NETWORK',
    requests: 1,
    bytes: 0,
  },
  { name: '404', faults: [on(kinds.status(404), 99)], gives: 'NOT_FOUND', requests: 1, bytes: 0 },
  { name: '403', faults: [on(kinds.status(403), 99)], gives: 'DENIED', requests: 1, bytes: 0 },
  {
    name: '200 to a range: what is here already is skipped',
    faults: [on(kinds.cutAfter(90_000)), on(kinds.ignoreRange)],
    requests: 2,
    bytes: SIZE + 90_000,
  },
  {
    name: '200 to a range, cut, and again',
    faults: [on(kinds.cutAfter(90_000)), on(kinds.ignoreRangeAndCut(150_000)), on(kinds.ignoreRange)],
    requests: 3,
    bytes: 2 * SIZE + 90_000,
  },
  {
    name: '416 to a range: the whole blob is asked for',
    faults: [on(kinds.cutAfter(90_000)), on(kinds.status(416))],
    requests: 3,
    bytes: SIZE + 90_000,
  },
  {
    name: 'a range off by one that says so',
    faults: [on(kinds.cutAfter(90_000)), on(kinds.rangeOffByOne, 99)],
    gives: 'SIZE_MISMATCH',
    requests: 2,
    bytes: SIZE,
  },
  {
    name: 'a range off by one that lies',
    faults: [on(kinds.cutAfter(90_000)), on(kinds.rangeLies)],
    gives: 'wrong digest',
    requests: 2,
    bytes: SIZE,
  },
  {
    name: 'a Content-Range of another size',
    faults: [on(kinds.withHeaders({ 'content-range': `bytes 100-${SIZE - 1}/${SIZE + 5}` }))],
    offset: 100,
    gives: 'SIZE_MISMATCH',
    requests: 1,
    bytes: SIZE,
  },
  {
    name: '206 without Content-Range',
    faults: [on(kinds.withHeaders({ 'content-range': undefined }))],
    offset: 100,
    gives: 'SIZE_MISMATCH',
    requests: 1,
    bytes: SIZE,
  },
  {
    name: 'too short, and says so',
    faults: [on(kinds.resized(SIZE - 1), 99)],
    gives: 'SIZE_MISMATCH',
    requests: 1,
    bytes: SIZE,
  },
  {
    name: 'too long, and says so',
    faults: [on(kinds.resized(SIZE + 1), 99)],
    gives: 'SIZE_MISMATCH',
    requests: 1,
    bytes: SIZE + 1,
  },
  {
    name: 'too long, unannounced',
    faults: [on(kinds.resizedUnannounced(SIZE + 1), 99)],
    gives: 'SIZE_MISMATCH',
    requests: 1,
    bytes: SIZE + 1,
  },
  {
    name: 'too short, unannounced, once: the rest is asked for',
    faults: [on(kinds.resizedUnannounced(SIZE - 500))],
    requests: 2,
    bytes: SIZE,
  },
  {
    name: 'ends early for ever',
    faults: [on(kinds.resizedUnannounced(0), 99)],
    gives: 'SIZE_MISMATCH',
    requests: [4, 4],
    bytes: 0,
  },
  { name: 'no length at all', faults: [on(kinds.resizedUnannounced(SIZE))], requests: 1, bytes: SIZE },
  { name: 'a corrupt byte', faults: [on(kinds.corruptAt(123_456))], gives: 'wrong digest', requests: 1, bytes: SIZE },
  {
    name: 'a wrong content type',
    faults: [on(kinds.withHeaders({ 'content-type': 'text/html' }))],
    requests: 1,
    bytes: SIZE,
  },
  { name: 'keep-alive closed by the server', faults: [on(kinds.closeAfterwards)], requests: 1, bytes: SIZE },
];

async function connectionsGone(proxy: Pick<FaultProxy, 'connections'>): Promise<void> {
  for (let tries = 0; tries < 50 && (await proxy.connections()) > 0; tries++) await delay(10);
  assert.equal(await proxy.connections(), 0, 'connections are left open');
}

describe('a blob from a registry on a bad day', () => {
  const proxy = faultyRegistry(image);
  let client: RegistryClient;
  const repository = () => ({ registry: proxy.host, repository: 'library/test' });

  for (const { name, faults, offset = 0, gives = 'blob', requests, bytes } of scenarios) {
    test(name, async () => {
      // One transfer at a time: one that is not given back stops the next.
      client = testClient({ limits: { transfers: 1 } });
      // A connection that is open already, as in the middle of a pull.
      await client.hasBlob(repository(), blob.digest);
      proxy.reset();
      proxy.fault(...faults);
      const outcome = await readBlob(client, repository(), blob, { offset }).catch((error: unknown) => error);
      if (gives === 'blob') {
        assert.ok(Buffer.isBuffer(outcome), `${outcome}`);
        assert.ok(outcome.equals(image.layer.subarray(offset)), 'other bytes than the blob has');
      } else if (gives === 'wrong digest') {
        assert.ok(Buffer.isBuffer(outcome), `${outcome}`);
        assert.equal(outcome.length, blob.size - offset);
        assert.notEqual(digestOf(outcome), blob.digest);
      } else {
        assert.ok(isTslayerError(outcome, gives), `${outcome}`);
        assert.doesNotMatch(outcome.message, /[\n\r]/);
      }
      const [least, most] = typeof requests === 'number' ? [0, requests] : requests;
      assert.ok(proxy.exchanges.length <= most, `${proxy.exchanges.length} requests, allowed are ${most}`);
      assert.ok(proxy.exchanges.length >= least, `${proxy.exchanges.length} requests, expected are ${least}`);
      assert.ok(proxy.blobBytes <= bytes, `${proxy.blobBytes} bytes, allowed are ${bytes}`);
      // The next pull works, with the same client.
      proxy.reset();
      assert.ok((await readBlob(client, repository(), blob)).equals(image.layer));
      await client.close();
      await connectionsGone(proxy);
    });
  }
});
