import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { readLayerIndex } from '../../../src/archive/layer-index/reader.ts';
import type { Unpacked, UnpackRequest } from '../../../src/archive/pipeline/request.ts';
import { Unpacker, type UnpackerOptions } from '../../../src/archive/pipeline/unpacker.ts';
import type { TarPlace } from '../../../src/archive/sink.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { type ScriptedOptions, scriptedSink } from '../../support/sinks/scripted-sink.ts';
import { tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const temp = tempDir('unpacker');
after(() => temp[Symbol.dispose]());

const content = Buffer.concat([randomBytes(300_000), Buffer.alloc(1_500_000, 'layer ')]);
const tar = tarBytes([
  { path: 'a', data: content },
  { path: 'b/c', data: 'x' },
]);
const blobs = { gzip: gzipSync(tar), zstd: zstdCompressSync(tar), none: tar };

async function* inSteps(bytes: Uint8Array, step: number = 50_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

interface Way extends UnpackerOptions {
  /** The driver keeps the tar, in a file behind four bytes of its own. */
  readonly keepsTar?: boolean;
}

/** The ways that a layer may take. */
const WAYS: Readonly<Record<string, Way>> = {
  'on the main thread': {},
  'on the main thread, which keeps the tar': { keepsTar: true },
  'in one worker': { inlineLimit: 0, threads: 1 },
  'split over two workers': { inlineLimit: 0, splitLimit: 0, threads: 2 },
  'in one worker, its entries on a shared one': { inlineLimit: 0, threads: 2, keepsTar: true },
  'split over one worker and a shared one': { inlineLimit: 0, splitLimit: 0, threads: 2, keepsTar: true },
};

const kept = join(temp.path, 'kept');

/** For one layer at a time. */
function tarPlace(): TarPlace {
  writeFileSync(kept, 'head');
  return { path: kept, at: 4, writeBack: true };
}

const plainRequest = (bytes: Uint8Array, more: Partial<UnpackRequest> = {}): UnpackRequest => ({
  source: inSteps(bytes),
  size: bytes.length,
  sink: scriptedSink(),
  ...more,
});

for (const [way, { keepsTar = false, ...options }] of Object.entries(WAYS)) {
  const scripted = (script: ScriptedOptions = {}) => scriptedSink(script, false, keepsTar ? tarPlace() : undefined);
  const request = (bytes: Uint8Array, more: Partial<UnpackRequest> = {}) =>
    plainRequest(bytes, { sink: scripted(), ...more });
  describe(`unpacking ${way}`, () => {
    const unpacker = new Unpacker(options);
    after(() => unpacker[Symbol.asyncDispose]());
    const unpack = (bytes: Uint8Array, more?: Partial<UnpackRequest>): Promise<Unpacked> =>
      unpacker.unpack(request(bytes, more));
    const rejects = (code: ErrorCode, bytes: Uint8Array, more?: Partial<UnpackRequest>) =>
      assert.rejects(unpack(bytes, more), { name: 'TslayerError', code });

    for (const engine of ['handle', 'stream'] as const) {
      test(`every compression, engine ${engine}`, async () => {
        await using own = new Unpacker({ ...options, engine });
        for (const bytes of Object.values(blobs)) {
          for (const step of [1000, 64 * 1024, bytes.length]) {
            const unpacked = await own.unpack(request(bytes, { source: inSteps(bytes, step) }));
            assert.equal(unpacked.diffId as string, digestOf(tar));
            assert.equal(unpacked.tarSize, tar.length);
            assert.equal(unpacked.result.bytes, content.length + 1);
            assert.equal(unpacked.result.inodes, 2);
            if (keepsTar) assert.deepEqual(readFileSync(kept), Buffer.concat([Buffer.from('head'), tar]));
            const where = unpacked.result.warnings[0]!;
            assert.match(where, way.startsWith('on the main thread') ? /^main$/ : /^worker/);
          }
        }
      });
    }

    test('an empty blob is an empty layer', async () => {
      assert.equal((await unpack(new Uint8Array(0))).tarSize, 0);
    });

    test('sha512 where the config has it', async () => {
      assert.equal((await unpack(blobs.gzip, { algorithm: 'sha512' })).diffId as string, digestOf(tar, 'sha512'));
    });

    test('progress rises to the size of the tar', async () => {
      const seen: number[] = [];
      await unpack(blobs.gzip, { onBytes: (bytes) => seen.push(bytes) });
      assert.deepEqual(
        seen,
        seen.toSorted((a, b) => a - b),
      );
      assert.equal(seen.at(-1), tar.length);
    });

    test('an index is written beside, with checksums of the contents', async () => {
      const indexPath = join(temp.path, `index ${way}`);
      assert.equal((await unpack(blobs.gzip, { indexPath })).indexed, true);
      const records = [...readLayerIndex(indexPath)].map(
        (record) => record.kind === 'entry' && [String(Buffer.from(record.entry.path)), record.crc32],
      );
      const { crc32 } = await import('node:zlib');
      assert.deepEqual(records, [
        ['a', crc32(content)],
        ['b/c', crc32('x')],
      ]);
    });

    test('broken bytes are told with their code, and leave no index', async () => {
      const indexPath = join(temp.path, `broken ${way}`);
      await rejects('MALFORMED', blobs.gzip.subarray(0, -20), { indexPath });
      await rejects('MALFORMED', blobs.zstd.subarray(0, -1), { indexPath });
      await rejects('MALFORMED', tar.subarray(0, 5000), { indexPath });
      await rejects('UNSUPPORTED', Buffer.from('BZh91AY&SY'), { indexPath });
      await rejects('UNSAFE_LAYER', gzipSync(tarBytes([{ path: '../x' }])), { indexPath });
      assert.equal(existsSync(indexPath), false);
    });

    test('a bomb: a small blob that inflates without end stops at the limit', async () => {
      const bomb = gzipSync(tarBytes([{ path: 'zeros', data: Buffer.alloc(30_000_000) }]), { level: 9 });
      const limits = { bytes: 1_000_000, entries: 10, headerBytes: 10_000, pathBytes: 1000 };
      await rejects('LIMIT_EXCEEDED', bomb, { limits });
    });

    test("the sink's errors come with code and hint, and the sink is closed", async () => {
      const log = join(temp.path, `log ${way}`);
      for (const [fail, code] of [
        ['entry', 'NO_SPACE'],
        ['finish', 'UNSUPPORTED'],
      ] as const) {
        await rejects(code, blobs.gzip, { sink: scripted({ fail, log }) });
      }
      assert.equal(readFileSync(log, 'utf8'), 'closed\nclosed\n');
      await assert.rejects(unpack(blobs.gzip, { sink: scripted({ fail: 'open' }) }), {
        code: 'IN_USE',
        hint: 'come back later',
      });
      await assert.rejects(unpack(blobs.gzip, { sink: scripted({ fail: 'errno' }) }), {
        message: 'it broke',
        code: 'EIO',
      });
    });

    test('what the source throws is what the caller gets', async () => {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield blobs.gzip.subarray(0, 60_000);
        throw new Error('the line went dead');
      }
      const log = join(temp.path, `dead ${way}`);
      await assert.rejects(unpack(blobs.gzip, { source: broken(), sink: scripted({ log }) }), /the line went dead/);
      assert.equal(readFileSync(log, 'utf8'), 'closed\n');
    });

    test('an abort stops it, also while the source is silent', async () => {
      const stop = new AbortController();
      const log = join(temp.path, `abort ${way}`);
      async function* silent(): AsyncGenerator<Uint8Array> {
        yield blobs.gzip.subarray(0, 60_000);
        stop.abort();
        // The main thread's way has nothing but the source to wait for: that one has to see the signal itself.
        if (way.startsWith('on the main thread')) return;
        await new Promise((resolve) => setTimeout(resolve, 60_000).unref());
      }
      const pending = unpack(blobs.gzip, { source: silent(), sink: scripted({ log }), signal: stop.signal });
      await assert.rejects(pending, { code: 'ABORTED' });
      assert.equal(readFileSync(log, 'utf8'), 'closed\n');
      await rejects('ABORTED', blobs.gzip, { signal: AbortSignal.abort() });
    });

    if (keepsTar) {
      test('a full disk under the tar is told as such', async () => {
        const place = { path: '/dev/full', at: 0, writeBack: false };
        await rejects('NO_SPACE', blobs.gzip, { sink: scriptedSink({}, false, place) });
      });
    }

    test('after every failure the next layer is unpacked', async () => {
      await rejects('NO_SPACE', blobs.gzip, { sink: scripted({ fail: 'entry' }) });
      assert.equal((await unpack(blobs.zstd)).tarSize, tar.length);
    });
  });
}

describe('threads', () => {
  test('a worker that dies takes its layer along, not the unpacker', async () => {
    for (const splitLimit of [0, 1e9]) {
      await using unpacker = new Unpacker({ inlineLimit: 0, threads: 2, splitLimit });
      const dying = plainRequest(blobs.gzip, { sink: scriptedSink({ fail: 'exit' }) });
      await assert.rejects(unpacker.unpack(dying), { code: 'FAILED', message: 'a worker thread broke' });
      assert.equal((await unpacker.unpack(plainRequest(blobs.gzip))).tarSize, tar.length);
    }
  });

  test('many layers at once take their turns', async () => {
    await using unpacker = new Unpacker({ inlineLimit: 0, threads: 3, splitLimit: 0 });
    unpacker.warm([blobs.gzip.length, blobs.zstd.length]);
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, i) => unpacker.unpack(plainRequest(i % 2 ? blobs.gzip : blobs.zstd))),
    );
    for (const { diffId } of all) assert.equal(diffId as string, digestOf(tar));
  });

  test('layers that share a thread do not wait for each other, and each keeps its own tar', async () => {
    await using unpacker = new Unpacker({ inlineLimit: 0, threads: 3, splitLimit: tar.length * 2 });
    const files = Array.from({ length: 6 }, (_, i) => join(temp.path, `shared ${i}`));
    const stuck = Promise.withResolvers<void>();
    async function* silent(): AsyncGenerator<Uint8Array> {
      yield blobs.gzip.subarray(0, 60_000);
      await stuck.promise;
      yield blobs.gzip.subarray(60_000);
    }
    const [first, ...others] = files.map((path, i) => {
      writeFileSync(path, '');
      const sink = scriptedSink({}, false, { path, at: 0, writeBack: false });
      return unpacker.unpack(plainRequest(blobs.gzip, { sink, ...(i === 0 && { source: silent() }) }));
    });
    const threads = (await Promise.all(others)).map(({ result }) => result.warnings[0]);
    assert.equal(new Set(threads).size, 1);
    stuck.resolve();
    await first;
    for (const path of files) assert.deepEqual(readFileSync(path), tar);
  });

  test('a shared thread that dies is replaced', async () => {
    await using unpacker = new Unpacker({ inlineLimit: 0, threads: 2 });
    const path = join(temp.path, 'dying');
    writeFileSync(path, '');
    const place = { path, at: 0, writeBack: false };
    const dying = plainRequest(blobs.gzip, { sink: scriptedSink({ fail: 'exit' }, false, place) });
    await assert.rejects(unpacker.unpack(dying), { code: 'FAILED', message: 'a worker thread broke' });
    const next = plainRequest(blobs.gzip, { sink: scriptedSink({}, false, place) });
    assert.equal((await unpacker.unpack(next)).tarSize, tar.length);
  });

  test('a sink that needs a thread of its own is never opened on the main thread', async () => {
    await using unpacker = new Unpacker({ threads: 1 });
    const { result } = await unpacker.unpack(plainRequest(blobs.gzip, { sink: scriptedSink({}, true) }));
    assert.match(result.warnings[0]!, /^worker/);
  });

  test('the source is read no faster than it is unpacked', async () => {
    await using unpacker = new Unpacker({ inlineLimit: 0, threads: 1 });
    const entries = Array.from({ length: 40 }, (_, i) => ({ path: `f${i}`, data: randomBytes(500_000) }));
    const blob = gzipSync(tarBytes(entries), { level: 1 });
    let read = 0;
    let most = 0;
    let done = 0;
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const chunk of inSteps(blob, 100_000)) {
        read += chunk.length;
        most = Math.max(most, read - done);
        yield chunk;
      }
    }
    const onBytes = (bytes: number) => {
      done = bytes;
    };
    await unpacker.unpack(plainRequest(blob, { source: counted(), sink: scriptedSink({ slow: 5 }), onBytes }));
    assert.ok(read === blob.length && most < 4_000_000, `${most} bytes ahead`);
  });

  test('an idle unpacker keeps no process alive', () => {
    const unpackerUrl = new URL('../../../src/archive/pipeline/unpacker.ts', import.meta.url).href;
    const script = `
      const { Unpacker } = await import(${JSON.stringify(unpackerUrl)});
      const { gzipSync } = await import('node:zlib');
      const bytes = gzipSync(Buffer.alloc(1024));
      const sink = { module: ${JSON.stringify(scriptedSink().module)}, options: {}, ownThread: true };
      const { tarSize } = await new Unpacker().unpack({ source: (async function* () { yield bytes; })(), size: bytes.length, sink });
      console.log(tarSize);`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 10_000,
      encoding: 'utf8',
    });
    assert.equal(out, '1024\n');
  });
});
