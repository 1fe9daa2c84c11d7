import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Slabs } from '../../../registry-client/transport/slabs.ts';

/** As a socket does: reads `length` bytes into the room. */
function read(slabs: Slabs, length: number, value: number): Buffer {
  const room = slabs.room();
  const chunk = room.subarray(0, Math.min(length, room.length)).fill(value);
  slabs.fill(chunk.length);
  return chunk;
}

const SOME = 200 * 1024;

describe('memory that a connection reads into', () => {
  test('is the same again and again for chunks that come back', () => {
    const slabs = new Slabs();
    const seen = new Set<ArrayBufferLike>();
    for (let i = 0; i < 100; i++) {
      const chunk = read(slabs, SOME, i);
      slabs.lend(chunk, true);
      seen.add(chunk.buffer);
      slabs.giveBack(chunk);
    }
    assert.equal(seen.size, 1);
  });

  test('is not touched while somebody looks at it, whatever order it comes back in', () => {
    const slabs = new Slabs();
    const held: { chunk: Buffer; value: number }[] = [];
    for (let i = 0; i < 400; i++) {
      const chunk = read(slabs, SOME, i % 251);
      slabs.lend(chunk, true);
      held.push({ chunk, value: i % 251 });
      if (held.length < 8) continue;
      const [{ chunk: done, value } = { chunk, value: -1 }] = held.splice((i * 7) % held.length, 1);
      assert.ok(done.equals(Buffer.alloc(done.length, value)));
      slabs.giveBack(done);
    }
    assert.ok(new Set(held.map(({ chunk }) => chunk.buffer)).size <= 8);
  });

  test('stays with whoever got it for good', () => {
    const slabs = new Slabs();
    const kept = read(slabs, SOME, 1);
    slabs.lend(kept, false);
    for (let i = 0; i < 50; i++) {
      const chunk = read(slabs, SOME, 2);
      slabs.lend(chunk, true);
      slabs.giveBack(chunk);
    }
    assert.ok(kept.equals(Buffer.alloc(kept.length, 1)));
  });
});
