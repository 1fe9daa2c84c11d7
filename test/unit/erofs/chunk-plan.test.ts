/** Sparse files: where their chunks point, and that no map is worth more than its data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NULL_BLOCK } from '../../../drivers/erofs/format/layout.ts';
import { type SparseFile, SparseTable } from '../../../drivers/erofs/tree/sparse.ts';
import { ChunkPlanner, fillAddresses, mapBytes } from '../../../drivers/erofs/write/chunk-plan.ts';

const TAR_END = 2 ** 30;

/** Reads a planned file at `offset`: the byte of the image that the map leads to, or undefined in a hole. */
function locate(planner: ChunkPlanner, file: SparseFile, offset: number): number | undefined {
  const plan = planner.plan(file);
  const chunk = 512 * 2 ** plan.bits;
  const addresses = new Uint32Array(plan.chunks);
  fillAddresses(plan, 0, addresses);
  const block = addresses[Math.floor(offset / chunk)]!;
  return block === NULL_BLOCK ? undefined : block * 512 + (offset % chunk);
}

/** Where the tar has that byte, by the map's definition; undefined in a hole. */
function stored({ segments, dataOffset }: SparseFile, offset: number): number | undefined {
  let at = 4096 + dataOffset;
  for (const segment of segments) {
    if (offset >= segment.offset && offset < segment.offset + segment.length) return at + offset - segment.offset;
    at += segment.length;
  }
  return undefined;
}

const sparseFile = fc
  .tuple(
    fc.constantFrom(1, 512, 4096, 65_536),
    fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 40 })), { maxLength: 12 }),
    fc.nat(2 ** 34),
  )
  .map(([unit, gaps, tail]): SparseFile => {
    let end = 0;
    const segments = gaps.map(([gap, length]) => {
      const offset = end + gap * unit;
      end = offset + length * unit;
      return { offset, length: length * unit };
    });
    return { size: end + tail + 1, dataOffset: 512 * 7, segments };
  });

describe('the chunk map of a sparse file', () => {
  test('leads each byte to where it is stored, or copied to', () => {
    fc.assert(
      fc.property(sparseFile, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (file, where) => {
        const planner = new ChunkPlanner(TAR_END);
        const inside = file.segments[Math.floor(where * file.segments.length)];
        const offset = inside ? inside.offset + Math.floor(where * inside.length) : Math.floor(where * file.size);
        const found = locate(planner, file, offset);
        const expected = stored(file, offset);
        if (expected === undefined) {
          // A hole, or the rest of a copied chunk, which lies in a hole of the image.
          const data = planner.copies.some(
            ({ to, length }) => found !== undefined && found >= to && found < to + length,
          );
          assert.equal(data, false);
          assert.ok(found === undefined || found >= TAR_END);
        } else {
          const copy = planner.copies.find(({ from, length }) => expected >= from && expected < from + length);
          assert.equal(found, copy ? copy.to + expected - copy.from : expected);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('is never out of proportion to what is stored (a bomb of empty terabytes)', () => {
    fc.assert(
      fc.property(sparseFile, (file) => {
        const data = file.segments.reduce((sum, { length }) => sum + length, 0);
        assert.ok(mapBytes(new ChunkPlanner(TAR_END).plan(file)) <= 1024 + data / 16);
      }),
    );
  });

  test('ends at 2 TiB of image', () => {
    const file = { size: 2 ** 52, dataOffset: 512, segments: [{ offset: 1, length: 1 }] };
    assert.throws(() => new ChunkPlanner(TAR_END).plan(file), { code: 'LIMIT_EXCEEDED' });
  });
});

describe('sparse maps of a layer', () => {
  test('that are out of order, overlap, or end beyond the file are refused', () => {
    const bad = [
      [
        { offset: 10, length: 5 },
        { offset: 0, length: 5 },
      ],
      [
        { offset: 0, length: 5 },
        { offset: 4, length: 5 },
      ],
      [{ offset: 95, length: 10 }],
      [{ offset: -1, length: 1 }],
      [{ offset: 2 ** 53, length: 0 }],
    ];
    for (const segments of bad) {
      assert.throws(() => new SparseTable().add({ size: 100, dataOffset: 0, segments }), { code: 'MALFORMED' });
    }
  });

  test('have at most four million segments together (CVE-2025-58183)', () => {
    const table = new SparseTable();
    const segments = Array.from({ length: 100_000 }, (_, i) => ({ offset: i * 2, length: 1 }));
    const add = () => table.add({ size: 200_000, dataOffset: 0, segments });
    for (let i = 0; i < 40; i++) add();
    assert.throws(add, { code: 'LIMIT_EXCEEDED' });
  });
});
