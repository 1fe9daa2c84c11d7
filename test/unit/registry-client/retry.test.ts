import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RegistryError, type RegistryErrorDetails } from '../../../registry-client/errors.ts';
import { DEFAULT_RETRY } from '../../../registry-client/options.ts';
import { delayBeforeRetry, parseRetryAfter, pause } from '../../../registry-client/retry.ts';
import { isTslayerError } from '../../../src/errors.ts';

const failure = (details: RegistryErrorDetails = {}) =>
  new RegistryError('NETWORK', 'x', { temporary: true, ...details });

describe('the retry policy', () => {
  test('the delay doubles up to its limit, less a random half', () => {
    for (let attempt = 1; attempt < 20; attempt++) {
      const full = Math.min(250 * 2 ** (attempt - 1), 30_000);
      const delay = delayBeforeRetry(failure(), attempt, 99, DEFAULT_RETRY);
      assert.ok(delay !== undefined && delay >= full / 2 && delay <= full, `attempt ${attempt}: ${delay}`);
    }
  });

  test('delays differ from client to client', () => {
    const delays = Array.from({ length: 50 }, () => delayBeforeRetry(failure(), 8, 99, DEFAULT_RETRY));
    assert.ok(new Set(delays).size > 10);
  });

  test('attempts are bounded', () => {
    assert.equal(delayBeforeRetry(failure(), 6, 6, DEFAULT_RETRY), undefined);
    assert.notEqual(delayBeforeRetry(failure(), 5, 6, DEFAULT_RETRY), undefined);
  });

  test('some failures are final sooner', () => {
    assert.equal(delayBeforeRetry(failure({ maxAttempts: 2 }), 2, 6, DEFAULT_RETRY), undefined);
  });

  test('what is not temporary is final', () => {
    assert.equal(delayBeforeRetry(failure({ temporary: false }), 1, 6, DEFAULT_RETRY), undefined);
    assert.equal(delayBeforeRetry(new Error('x'), 1, 6, DEFAULT_RETRY), undefined);
  });

  test('Retry-After replaces the delay, unless it is too long', () => {
    assert.equal(delayBeforeRetry(failure({ retryAfterMs: 7000 }), 1, 6, DEFAULT_RETRY), 7000);
    assert.equal(delayBeforeRetry(failure({ retryAfterMs: 7_000_000 }), 1, 6, DEFAULT_RETRY), undefined);
  });

  test('Retry-After is seconds or a date', () => {
    const now = Date.parse('Wed, 21 Oct 2026 07:28:00 GMT');
    assert.equal(parseRetryAfter('120', now), 120_000);
    assert.equal(parseRetryAfter('Wed, 21 Oct 2026 07:28:30 GMT', now), 30_000);
    assert.equal(parseRetryAfter('Wed, 21 Oct 2020 07:28:30 GMT', now), 0);
    assert.equal(parseRetryAfter('soon', now), undefined);
    assert.equal(parseRetryAfter(undefined, now), undefined);
  });

  test('a pause ends when the caller gives up', async () => {
    await assert.rejects(pause(60_000, AbortSignal.timeout(5)), (error) => isTslayerError(error, 'ABORTED'));
  });
});
