import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { bytesToSkip } from '../../../registry-client/read/content-range.ts';
import { streamBody } from '../../../registry-client/transport/body.ts';
import { isTslayerError } from '../../../src/errors.ts';

function skip(status: number, headers: Record<string, string>, start: number, end: number, size: number): number {
  const response = {
    status,
    url: new URL('http://x'),
    header: (name: string) => headers[name],
    body: streamBody(new PassThrough(), 100),
  };
  return bytesToSkip(response, start, end, size, 'test');
}
const refused = (call: () => number) => assert.throws(call, (error) => isTslayerError(error, 'SIZE_MISMATCH'));

describe('the answer to a range', () => {
  test('is the part that was asked for', () => {
    assert.equal(skip(206, { 'content-range': 'bytes 5-9/10', 'content-length': '5' }, 5, 10, 10), 0);
    assert.equal(skip(206, { 'content-range': 'bytes 5-7/*' }, 5, 8, 10), 0);
  });
  test('or the whole, of which the beginning is skipped', () => {
    assert.equal(skip(200, { 'content-length': '10' }, 5, 10, 10), 5);
    assert.equal(skip(200, {}, 0, 10, 10), 0);
  });
  test('never another part', () => {
    for (const range of [
      'bytes 4-9/10',
      'bytes 5-8/10',
      'bytes 5-9/11',
      '5-9/10',
      'bytes 5-9',
      'bytes 5-9/ten',
      'bytes -1-9/10',
    ]) {
      refused(() => skip(206, { 'content-range': range }, 5, 10, 10));
    }
    refused(() => skip(206, {}, 5, 10, 10));
  });
  test('never another length', () => {
    refused(() => skip(206, { 'content-range': 'bytes 5-9/10', 'content-length': '6' }, 5, 10, 10));
    refused(() => skip(200, { 'content-length': '11' }, 0, 10, 10));
    refused(() => skip(200, { 'content-length': '9' }, 5, 10, 10));
  });
});
