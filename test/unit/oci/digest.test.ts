import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { isTslayerError } from '../../../src/errors.ts';
import { chainIDs } from '../../../src/oci/chain-id.ts';
import { asDiffID, digestOf, isDigest, parseDigest, verifyBytes } from '../../../src/oci/digest.ts';
import { fromIntegrity, toIntegrity } from '../../../src/oci/integrity.ts';

test('CVE-2024-3727: a digest that could leave a directory is refused before it names a path', () => {
  const hex = 'a'.repeat(64);
  for (const text of [
    `sha256:../${'a'.repeat(61)}`,
    `sha256:${hex}/x`,
    `sha256:${hex}\n`,
    `SHA256:${hex}`,
    `md5:${hex}`,
    `sha256:${hex.toUpperCase()}`,
    hex,
    '',
    'sha256:',
    `sha512:${hex}`,
  ]) {
    assert.equal(isDigest(text), false, text);
    assert.throws(
      () => parseDigest(text),
      (error) => isTslayerError(error, 'MALFORMED'),
    );
  }
  assert.equal(isDigest(undefined), false);
  assert.equal(isDigest({ toString: () => `sha256:${hex}` }), false);
});

test('digests and Subresource Integrity name the same bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom('sha256' as const, 'sha512' as const), (bytes, algorithm) => {
      const digest = digestOf(bytes, algorithm);
      const sri = `${algorithm}-${createHash(algorithm).update(bytes).digest('base64')}`;
      assert.equal(toIntegrity(digest), sri);
      assert.equal(fromIntegrity(sri), digest);
    }),
  );
  assert.throws(
    () => fromIntegrity('sha1-deadbeef'),
    (error) => isTslayerError(error, 'MALFORMED'),
  );
});

test('verifyBytes tells which digest was expected and which was found', () => {
  const bytes = Buffer.from('layer');
  verifyBytes(bytes, digestOf(bytes), 'blob');
  assert.throws(
    () => verifyBytes(Buffer.from('LAYER'), digestOf(bytes), 'blob'),
    (error) =>
      isTslayerError(error, 'DIGEST_MISMATCH') &&
      error.message.includes(digestOf(bytes)) &&
      error.message.includes(digestOf('LAYER')),
  );
});

test('chainIDs follow the recurrence of the image specification', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => asDiffID(digestOf(text)));
  assert.ok(a && b && c);
  const ab = digestOf(`${a} ${b}`);
  assert.deepEqual(chainIDs([a, b, c]), [a, ab, digestOf(`${ab} ${c}`)] as unknown[]);
  assert.deepEqual(chainIDs([]), []);
});
