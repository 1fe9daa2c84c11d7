import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { sha256 } from '../../../src/sys/sha256.ts';

describe('sha256', () => {
  test('is what node:crypto finds', () => {
    for (const length of [0, 1, 55, 56, 63, 64, 65, 1000, 100_000]) {
      const bytes = randomBytes(length);
      assert.equal(sha256(bytes), createHash('sha256').update(bytes).digest('hex'), `${length} bytes`);
    }
  });

  test('looks at its part of a larger buffer alone', () => {
    const whole = Buffer.from('before-inside-after');
    assert.equal(sha256(whole.subarray(7, 13)), createHash('sha256').update('inside').digest('hex'));
  });
});
