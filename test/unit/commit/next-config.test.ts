import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import {
  creationDate,
  emptyConfig,
  nextConfig,
  parseRawConfig,
  sourceDateEpoch,
} from '../../../src/images/next-config.ts';
import { parseConfig } from '../../../src/oci/config.ts';
import { asDiffID, digestOf } from '../../../src/oci/digest.ts';

const diffIDs = [asDiffID(digestOf('a'))];
const step = { diffIDs, history: [{ created_by: 'x' }], created: '2026-01-02T03:04:05Z' };

test('members that the specification does not know are kept, those of the old container are not', () => {
  const base = parseRawConfig(
    Buffer.from('{"os":"linux","config":{"Healthcheck":{"Test":["x"]}},"container":"c","moby.buildkit":{"a":1}}'),
    'it',
  );
  const next = JSON.parse(nextConfig(base, { ...step, changes: ['USER bob'], author: 'me' }).toString());
  assert.deepEqual(next.config, { Healthcheck: { Test: ['x'] }, User: 'bob' });
  assert.deepEqual(next['moby.buildkit'], { a: 1 });
  assert.equal(next.container, undefined);
  assert.equal(next.author, 'me');
  assert.deepEqual(next.rootfs, { type: 'layers', diff_ids: diffIDs });
});

test('equal steps give equal bytes, which parse', () => {
  const base = emptyConfig({ os: 'linux', architecture: 'arm', variant: 'v7' });
  assert.deepEqual(nextConfig(base, step), nextConfig(base, step));
  const parsed = parseConfig(nextConfig(base, step));
  assert.deepEqual(parsed.platform, { os: 'linux', architecture: 'arm', variant: 'v7' });
  assert.deepEqual(parsed.diffIDs, diffIDs);
});

test('SOURCE_DATE_EPOCH sets the date to the second', () => {
  assert.equal(creationDate(sourceDateEpoch({ SOURCE_DATE_EPOCH: '1700000000' })), '2023-11-14T22:13:20Z');
  assert.equal(sourceDateEpoch({}), undefined);
  assert.equal(creationDate(undefined, 1), '1970-01-01T00:00:00.001Z');
  for (const bad of ['-1', 'now', '1e3', '999999999999999']) {
    assert.throws(
      () => sourceDateEpoch({ SOURCE_DATE_EPOCH: bad }),
      (error) => isTslayerError(error, 'INVALID_ARGUMENT'),
    );
  }
});
