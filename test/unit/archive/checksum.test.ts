import assert from 'node:assert/strict';
import { test } from 'node:test';
import zlib from 'node:zlib';
import fc from 'fast-check';
import { crc32 } from '../../../src/archive/layer-index/checksum.ts';

test('checksums are those of zlib, in any pieces and any kind of memory', () => {
  const part = fc.uint8Array({ maxLength: 5000 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.nat(40), (parts, skip) => {
      let sum = 0;
      for (const bytes of parts) {
        const shared = new Uint8Array(new SharedArrayBuffer(bytes.length + skip), skip);
        shared.set(bytes);
        assert.equal(crc32(shared, sum), crc32(bytes, sum));
        sum = crc32(shared, sum);
      }
      assert.equal(sum, zlib.crc32(Buffer.concat(parts)));
    }),
  );
});
