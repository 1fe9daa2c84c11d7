import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { findFunctions, hashBy, hashOf, openHash } from '../../../src/sys/hash.ts';

for (const algorithm of ['sha256', 'sha512'] as const) {
  describe(algorithm, () => {
    test('is what node:crypto finds', () => {
      for (const length of [0, 1, 55, 56, 63, 64, 65, 111, 112, 128, 1000, 100_000]) {
        const bytes = randomBytes(length);
        assert.equal(hashOf(algorithm, bytes), createHash(algorithm).update(bytes).digest('hex'), `${length} bytes`);
      }
    });

    test('looks at its part of a larger buffer alone, shared between threads or not', () => {
      for (const memory of [new ArrayBuffer(19), new SharedArrayBuffer(19)]) {
        const whole = Buffer.from(memory);
        whole.write('before-inside-after');
        assert.equal(hashOf(algorithm, whole.subarray(7, 13)), createHash(algorithm).update('inside').digest('hex'));
      }
    });

    test('of pieces, several at a time, is that of the whole', () => {
      const bytes = randomBytes(1000);
      const expected = createHash(algorithm).update(bytes).digest('hex');
      const hashes = [1, 63, 64, 65, 500, 1000].map((piece) => ({ piece, hash: openHash(algorithm) }));
      for (const { piece, hash } of hashes) {
        for (let at = 0; at < bytes.length; at += piece) hash.update(bytes.subarray(at, at + piece));
      }
      for (const { hash } of hashes) assert.equal(hash.digest().toString('hex'), expected);
    });

    test('is the same where Node shows no OpenSSL, of memory between threads, too', () => {
      const bytes = randomBytes(1000);
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      const hash = hashBy(algorithm, undefined);
      hash.update(shared.subarray(0, 300));
      hash.update(bytes.subarray(300));
      assert.equal(hash.digest().toString('hex'), hashOf(algorithm, bytes));
    });

    test('is taken from no library that lacks a function, or does something else', () => {
      assert.ok(findFunctions(algorithm));
      const lacking = (_result: string, name: string) => {
        if (name.endsWith('_Final')) throw new Error(`no ${name}`);
        return () => 1;
      };
      assert.equal(findFunctions(algorithm, lacking), undefined);
      assert.equal(
        findFunctions(algorithm, () => () => 1),
        undefined,
      );
      assert.equal(
        findFunctions(algorithm, () => () => 0),
        undefined,
      );
    });
  });
}
