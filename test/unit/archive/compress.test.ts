import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type CompressOptions, compress } from '../../../src/archive/compress/compress.ts';
import { packTar } from '../../../src/archive/pack.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import { collect } from '../../support/collect.ts';

const text = Buffer.alloc(2_500_000, 'what a layer holds is often like what it held before; ');
const mixed = Buffer.concat([text, randomBytes(700_000), text.subarray(0, 123_457)]);

async function* inSteps(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

const packed = async (options: CompressOptions, bytes = mixed, step = 100_000) =>
  Buffer.concat(await collect(compress(inSteps(bytes, step), options)));

for (const [compression, unpack] of [
  ['gzip', gunzipSync],
  ['zstd', zstdDecompressSync],
] as const) {
  test(`${compression} is read back by others, at every level`, async () => {
    for (const level of [undefined, 1, 9]) {
      const bytes = await packed({ compression, level });
      assert.deepEqual(unpack(bytes), mixed);
    }
    assert.deepEqual(unpack(await packed({ compression }, Buffer.alloc(0))), Buffer.alloc(0));
    assert.deepEqual(unpack(await packed({ compression }, Buffer.alloc(1024 ** 2))), Buffer.alloc(1024 ** 2));
  });

  test(`${compression} gives the same bytes whatever the chunks and the cores`, async () => {
    const one = await packed({ compression, parallel: 1 });
    for (const [parallel, step] of [
      [4, 100_000],
      [3, 1_048_576],
      [2, 777_777],
    ] as const) {
      assert.equal(digestOf(await packed({ compression, parallel }, mixed, step)), digestOf(one));
    }
  });

  test(`${compression} refuses a level that it does not have, and passes on what its source throws`, async () => {
    for (const level of [0, 99, 1.5]) {
      await assert.rejects(packed({ compression, level }), { code: 'INVALID_ARGUMENT' });
    }
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield text;
      throw new Error('the source broke');
    }
    await assert.rejects(collect(compress(failing(), { compression })), /the source broke/);
  });

  test(`${compression} stops when its reader does`, async () => {
    let stopped = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield mixed;
      } finally {
        stopped = true;
      }
    }
    for await (const chunk of compress(endless(), { compression })) {
      if (chunk.length > 100) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(stopped, true);
  });
}

test('gzip in blocks is hardly larger than gzip in one', async () => {
  const bytes = await packed({ compression: 'gzip', level: 6 });
  const { gzipSync } = await import('node:zlib');
  assert.ok(bytes.length < gzipSync(mixed, { level: 6 }).length * 1.005);
});

test('a packed layer has digest and size of its blob, diffID and size of its tar', async () => {
  for (const compression of ['gzip', 'zstd', 'none'] as const) {
    const chunks: Uint8Array[] = [];
    const layer = await packTar(inSteps(mixed, 65_536), { compression }, async (chunk) =>
      chunks.push(Uint8Array.from(chunk)),
    );
    const blob = Buffer.concat(chunks);
    assert.deepEqual([layer.digest, layer.size], [digestOf(blob), blob.length]);
    assert.deepEqual([layer.diffId as string, layer.tarSize], [digestOf(mixed), mixed.length]);
    assert.equal(layer.mediaType.endsWith(compression === 'none' ? '.tar' : compression), true);
  }
});
