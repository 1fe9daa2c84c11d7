/** Compression of layers made here: the same tar and level give the same bytes, however many cores there are. */
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { TslayerError } from '../../errors.ts';
import type { Compression } from '../inflate/compression.ts';

export interface CompressOptions {
  readonly compression: Compression;
  /** gzip: 1 to 9, default 4. zstd: 1 to 19, default 3. */
  readonly level?: number | undefined;
  /**
   * Blocks under way at once. Default: one for each core, at most four (the threads of Node's pool), and two more, so
   * that none of these waits while a block is filled.
   */
  readonly parallel?: number;
}

/** Deflate's sixth level takes twice as long as the fourth, for 3 % less. */
const LEVELS = { gzip: { most: 9, usual: 4 }, zstd: { most: 19, usual: 3 } } as const;

/** @param source its chunks are the compression's own */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions,
): AsyncGenerator<Uint8Array, void> {
  const { compression, parallel = Math.min(4, availableParallelism()) + 2 } = options;
  if (compression === 'none') return yield* source;
  const { most, usual } = LEVELS[compression];
  const { level = usual } = options;
  if (!Number.isInteger(level) || level < 1 || level > most) {
    throw new TslayerError('INVALID_ARGUMENT', `${compression} has no level ${level}`, { hint: `choose 1 to ${most}` });
  }
  yield* compression === 'gzip' ? gzip(source, level, parallel) : zstd(source, level);
}

/** What one block is compressed by itself in: large enough to lose nothing, small enough to share out. */
const BLOCK = 1024 ** 2;
/** Deflate looks back so far. */
const WINDOW = 32 * 1024;
// RFC 1952: magic, deflate, no flags, no time (the same bytes tomorrow), no extra flags, unknown system.
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** An empty last block, coded by the fixed table. */
const LAST_BLOCK = Buffer.from([3, 0]);

const deflate = promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.deflateRaw);

/**
 * One member, made as pigz does: blocks of fixed size are deflated apart, each with the end of the one before as its
 * dictionary, and end at a byte boundary (a sync flush), so that they can be put one behind the other.
 */
async function* gzip(source: AsyncIterable<Uint8Array>, level: number, parallel: number): AsyncGenerator<Uint8Array> {
  yield GZIP_HEADER;
  const running: Promise<Buffer>[] = [];
  let crc = 0;
  let size = 0;
  let dictionary: Uint8Array | undefined;
  const options = { level, chunkSize: BLOCK / 2, finishFlush: zlib.constants.Z_SYNC_FLUSH };
  for await (const block of blocks(source)) {
    crc = zlib.crc32(block, crc);
    size += block.length;
    const task = deflate(block, dictionary === undefined ? options : { ...options, dictionary });
    // It is awaited in its turn; until then nobody else may see it fail.
    task.catch(() => undefined);
    running.push(task);
    dictionary = block.subarray(Math.max(0, block.length - WINDOW));
    if (running.length >= parallel) yield await running.shift()!;
  }
  for (const task of running) yield await task;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([LAST_BLOCK, trailer]);
}

async function* blocks(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let block: Buffer | undefined;
  let filled = 0;
  for await (const chunk of source) {
    if (filled === 0 && chunk.length === BLOCK) {
      yield chunk;
      continue;
    }
    for (let at = 0; at < chunk.length; ) {
      const take = Math.min(chunk.length - at, BLOCK - filled);
      block ??= Buffer.allocUnsafeSlow(BLOCK);
      block.set(chunk.subarray(at, at + take), filled);
      filled += take;
      at += take;
      if (filled < BLOCK) continue;
      yield block;
      block = undefined;
      filled = 0;
    }
  }
  if (block !== undefined) yield block.subarray(0, filled);
}

/** One frame with its content's checksum. */
async function* zstd(source: AsyncIterable<Uint8Array>, level: number): AsyncGenerator<Uint8Array> {
  const params = { [zlib.constants.ZSTD_c_compressionLevel]: level, [zlib.constants.ZSTD_c_checksumFlag]: 1 };
  const stream = zlib.createZstdCompress({ params, chunkSize: 256 * 1024 });
  // One callback a chunk is what the stream's pace comes down to; closing it calls them all.
  const write = (chunk: Uint8Array) => new Promise<void>((resolve) => stream.write(chunk, () => resolve()));
  const writing = (async () => {
    for await (const chunk of source) {
      await write(chunk);
      if (stream.destroyed) return;
    }
    stream.end();
  })();
  writing.catch((error) => stream.destroy(error));
  try {
    for await (const chunk of stream) yield chunk as Uint8Array;
    await writing;
  } finally {
    stream.destroy();
  }
}
