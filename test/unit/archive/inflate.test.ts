import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { constants, crc32, gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Compression, detectCompression } from '../../../src/archive/inflate/compression.ts';
import { handlesWork } from '../../../src/archive/inflate/handle.ts';
import { type Engine, openInflater } from '../../../src/archive/inflate/inflater.ts';
import { isalWorks } from '../../../src/archive/inflate/isal.ts';
import { FrameWalker } from '../../../src/archive/inflate/zstd-frames.ts';
import type { ErrorCode } from '../../../src/errors.ts';

/** Text that compresses, longer than the rooms it is inflated into. */
const plain = Buffer.concat([Buffer.alloc(3000, 'a layer is a changeset '), randomBytes(700), Buffer.alloc(2000)]);
const ROOM = 512;

async function inflate(bytes: Uint8Array, compression: Compression, engine: Engine, step = bytes.length) {
  const room = new Uint8Array(ROOM);
  const out: Buffer[] = [];
  const outlet = { room: () => room, flush: (length: number) => void out.push(Buffer.from(room.subarray(0, length))) };
  const inflater = openInflater(compression, outlet, engine);
  try {
    // Through one buffer that is reused, as the ring's slots are.
    const buffer = new Uint8Array(Math.max(step, 1));
    for (let at = 0; at < bytes.length; at += step) {
      const part = bytes.subarray(at, at + step);
      buffer.set(part);
      await inflater.write(buffer.subarray(0, part.length));
      buffer.fill(0xee);
    }
    await inflater.end();
    for (const chunk of out.slice(0, -1)) assert.equal(chunk.length, ROOM, 'rooms are handed over full');
    return Buffer.concat(out);
  } finally {
    inflater.close();
  }
}

function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, { name: 'TslayerError', code });
}

function dressedGzip(plainGzip: Buffer): Buffer {
  const header = Buffer.concat([
    Buffer.from([0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 255]),
    Buffer.from([5, 0, 1, 2, 1, 0, 7]),
    Buffer.from('layer.tar\0a comment\0'),
  ]);
  const checksum = Buffer.alloc(2);
  checksum.writeUInt16LE(crc32(header) & 0xffff);
  return Buffer.concat([header, checksum, plainGzip.subarray(10)]);
}

function skippable(length: number): Buffer {
  const frame = Buffer.alloc(8 + length, 0x99);
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(length, 4);
  return frame;
}

const checked = { params: { [constants.ZSTD_c_checksumFlag]: 1 } };
const gzip = gzipSync(plain);
/** With a name, a comment, an extra field and a checksum of the header (RFC 1952, 2.3). */
const dressed = dressedGzip(gzip);
const zstd = zstdCompressSync(plain, checked);
const halves = [plain.subarray(0, 1234), plain.subarray(1234)] as const;
const members = Buffer.concat([gzipSync(halves[0]), gzipSync(''), gzipSync(halves[1])]);
const frames = Buffer.concat([
  skippable(0),
  zstdCompressSync(halves[0]),
  skippable(700),
  zstdCompressSync(''),
  zstdCompressSync(halves[1], checked),
  skippable(3),
]);

test('the handle inside zlib has the shape that the fast engine drives', () => {
  assert.equal(handlesWork(), true);
});

for (const engine of ['isal', 'handle', 'stream'] as const) {
  describe(`inflating by ${engine}`, { skip: engine === 'isal' && !isalWorks() && 'needs libisal.so.2' }, () => {
    for (const [name, bytes, compression] of [
      ['gzip', gzip, 'gzip'],
      ['gzip of many members', members, 'gzip'],
      ['gzip with every header field', Buffer.concat([dressed, dressedGzip(gzipSync(''))]), 'gzip'],
      ['gzip padded with zeros', Buffer.concat([gzip, Buffer.alloc(600)]), 'gzip'],
      ['zstd', zstd, 'zstd'],
      ['zstd of many frames, some of them skippable', frames, 'zstd'],
      ['nothing', plain, 'none'],
    ] as const) {
      test(`${name}, cut at every size of chunk`, async () => {
        for (const step of [1, 2, 3, 7, 64, 511, 512, 513, bytes.length]) {
          assert.deepEqual(await inflate(bytes, compression, engine, step), plain, `in steps of ${step}`);
        }
      });

      test(`${name}, cut in two at every byte`, async () => {
        for (let cut = 1; cut < bytes.length; cut += 1 + (cut % 5)) {
          const found: Buffer[] = [];
          const room = new Uint8Array(4096);
          const flush = (length: number): void => void found.push(Buffer.from(room.subarray(0, length)));
          const inflater = openInflater(compression, { room: () => room, flush }, engine);
          await inflater.write(bytes.subarray(0, cut));
          await inflater.write(bytes.subarray(cut));
          await inflater.end();
          inflater.close();
          assert.deepEqual(Buffer.concat(found), plain, `cut at ${cut}`);
        }
      });
    }

    test('a stream cut short is malformed wherever it is cut', async () => {
      for (const [bytes, compression] of [
        [gzip, 'gzip'],
        [zstd, 'zstd'],
      ] as const) {
        for (let length = 0; length < bytes.length; length += 13) {
          await rejectsWith('MALFORMED', inflate(bytes.subarray(0, length), compression, engine));
        }
        await rejectsWith('MALFORMED', inflate(bytes.subarray(0, -1), compression, engine));
      }
    });

    test('garbage behind the end is malformed', async () => {
      for (const step of [1, 50, 1 << 20]) {
        await rejectsWith('MALFORMED', inflate(Buffer.concat([gzip, Buffer.from('garbage')]), 'gzip', engine, step));
        await rejectsWith('MALFORMED', inflate(Buffer.concat([zstd, Buffer.from('garbage')]), 'zstd', engine, step));
      }
    });

    test('a flipped byte is malformed', async () => {
      for (const [bytes, compression] of [
        [gzip, 'gzip'],
        [zstd, 'zstd'],
      ] as const) {
        const broken = Buffer.from(bytes);
        broken[broken.length >> 1]! ^= 0x40;
        await rejectsWith('MALFORMED', inflate(broken, compression, engine));
      }
    });

    test('a zstd window bomb: a header that asks for 2 GiB is refused before it is allocated', async () => {
      const bomb = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00]);
      await rejectsWith('LIMIT_EXCEEDED', inflate(bomb, 'zstd', engine));
    });

    test('an error of the outlet reaches the writer', async () => {
      const outlet = {
        room: () => new Uint8Array(ROOM),
        flush() {
          throw new Error('the disk is full');
        },
      };
      const inflater = openInflater('gzip', outlet, engine);
      await assert.rejects(async () => {
        await inflater.write(gzip);
        await inflater.end();
      }, /the disk is full/);
      inflater.close();
    });
  });
}

test('compression is told by the first bytes', () => {
  assert.equal(detectCompression(gzip), 'gzip');
  assert.equal(detectCompression(zstd), 'zstd');
  assert.equal(detectCompression(skippable(0)), 'zstd');
  assert.equal(detectCompression(Buffer.from('etc/')), 'none');
  assert.equal(detectCompression(Buffer.alloc(0)), 'none');
  assert.throws(() => detectCompression(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])), { code: 'UNSUPPORTED' });
});

test('the frame walker finds the end of each frame', () => {
  const walker = new FrameWalker();
  const ends: number[] = [];
  for (let at = 0; at < frames.length; ) {
    at = walker.walk(frames, at);
    ends.push(at);
  }
  assert.equal(ends.length, 6);
  assert.equal(ends[0], 8);
  assert.equal(walker.complete, true);
});

test('both fast engines agree on broken bytes: equal output, or an error of both', async (t) => {
  if (!isalWorks()) return t.skip('needs libisal.so.2');
  const seeds = [gzip, members, dressed, gzipSync(randomBytes(3000)), gzipSync(plain, { level: 0 })];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(4000), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.constantFrom(13, 100, 5000),
      async (seed, changes, step) => {
        const bytes = Buffer.from(seed);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const result = async (engine: Engine) => {
          try {
            return (await inflate(bytes, 'gzip', engine, step)).toString('hex');
          } catch (error) {
            return (error as { code?: unknown }).code;
          }
        };
        assert.equal(await result('isal'), await result('handle'));
      },
    ),
    { numRuns: 500 },
  );
});
