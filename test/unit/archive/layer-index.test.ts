import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { type IndexRecord, readLayerIndex } from '../../../src/archive/layer-index/reader.ts';
import { IndexWriter } from '../../../src/archive/layer-index/writer.ts';
import { entryOf } from '../../support/layer-trees.ts';
import { RecordingSink } from '../../support/recording-sink.ts';
import { pathBytes, tarEntry } from '../../support/tar-entries.ts';
import { tempDir } from '../../support/temp-dir.ts';

const temp = tempDir('index');
after(() => temp[Symbol.dispose]());
let files = 0;
const newPath = () => join(temp.path, String(files++));

type Told =
  | { readonly entry: TarEntry; readonly data?: Uint8Array }
  | { readonly kind: 'whiteout' | 'opaque'; readonly path: Uint8Array };

function write(records: Iterable<Told>, path: string = newPath()): string {
  const writer = new IndexWriter(path);
  for (const record of records) {
    if ('kind' in record) writer[record.kind](record.path);
    else {
      writer.entry(record.entry);
      if (record.data) for (const half of [record.data.subarray(0, 3), record.data.subarray(3)]) writer.data(half);
    }
  }
  writer.finish(true);
  writer.close();
  return path;
}

const plainEntry = (entry: TarEntry) => ({
  ...entry,
  path: Buffer.from(entry.path).toString('latin1'),
  linkname: Buffer.from(entry.linkname).toString('latin1'),
  xattrs: entry.xattrs.map(({ name, value }) => `${Buffer.from(name)}=${Buffer.from(value).toString('hex')}`),
});

function plain(record: IndexRecord): unknown {
  if (record.kind !== 'entry') return { kind: record.kind, path: Buffer.from(record.path).toString('latin1') };
  return { entry: plainEntry(record.entry), crc32: record.crc32 };
}

const segments = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 100 })), { maxLength: 5 })
  .map((pairs) => {
    let end = 0;
    return pairs.map(([gap, length]) => {
      const offset = end + gap;
      end = offset + length;
      return { offset, length };
    });
  });

const told: fc.Arbitrary<Told> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ entry: tarEntry, data: fc.uint8Array({ minLength: 4, maxLength: 20 }) }) },
  {
    weight: 1,
    arbitrary: fc.tuple(tarEntry, segments).map(([entry, map]) => {
      const storedSize = map.reduce((sum, { length }) => sum + length, 0);
      return {
        entry: {
          ...entry,
          type: 'file' as const,
          linkname: new Uint8Array(0),
          deviceMajor: 0,
          deviceMinor: 0,
          size: 2 ** 40,
          storedSize,
          segments: map,
        },
      };
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('whiteout' as const, 'opaque' as const), path: pathBytes }),
  },
);

test('what a layer held is read back the same', () => {
  fc.assert(
    fc.property(fc.array(told, { maxLength: 30 }), (records) => {
      let offset = 0;
      const placed = records.map((record) => {
        if ('kind' in record) return record;
        offset += 512;
        const entry = { ...record.entry, dataOffset: offset };
        offset += Math.ceil(entry.storedSize / 512) * 512;
        return { ...record, entry };
      });
      const want = placed.map((record) =>
        'kind' in record
          ? { kind: record.kind, path: Buffer.from(record.path).toString('latin1') }
          : { entry: plainEntry(record.entry), crc32: 'data' in record && record.data ? crc32(record.data) : 0 },
      );
      assert.deepEqual([...readLayerIndex(write(placed))].map(plain), want);
    }),
    { numRuns: 200 },
  );
});

test('many records in many blocks, small on disk', () => {
  const count = 30_000;
  function* entries(): Generator<Told> {
    for (let i = 0; i < count; i++) {
      const xattrs = [{ name: Buffer.from('user.x'), value: Buffer.from(String(i % 3)) }];
      const path = `usr/lib/node_modules/package-${i >> 5}/lib/file-${i}.js`;
      yield {
        entry: entryOf('f', path, String(i % 5000), {
          dataOffset: 1024 * i,
          storedSize: i % 5000,
          xattrs,
          mtime: { seconds: 1_700_000_000 + (i % 7), nanoseconds: 0 },
        }),
      };
    }
  }
  const path = write(entries());
  let i = 0;
  for (const record of readLayerIndex(path)) {
    assert.ok(record.kind === 'entry');
    if (i % 1000 === 0) {
      assert.equal(
        Buffer.from(record.entry.path).toString(),
        `usr/lib/node_modules/package-${i >> 5}/lib/file-${i}.js`,
      );
      assert.equal(record.entry.dataOffset, 1024 * i);
      assert.equal(Buffer.from(record.entry.xattrs[0]!.value).toString(), String(i % 3));
    }
    i++;
  }
  assert.equal(i, count);
  assert.ok(statSync(path).size < count * 20, `${statSync(path).size} bytes`);
});

test('is replayed to a visitor in order, and can be read twice', () => {
  const index = readLayerIndex(
    write([
      { entry: entryOf('d', 'a') },
      { kind: 'whiteout', path: Buffer.from('a/b') },
      { kind: 'opaque', path: Buffer.from('') },
    ]),
  );
  for (let i = 0; i < 2; i++) {
    const sink = new RecordingSink();
    index.replay(sink);
    assert.deepEqual(sink.events, ['entry a', 'hides a/b', 'opaque ']);
  }
});

describe('a file that is not a whole index', () => {
  test('is removed when it was not finished', () => {
    const path = newPath();
    const writer = new IndexWriter(path);
    writer.entry(entryOf('f', 'a', '0'));
    writer.close();
    writer.close();
    assert.equal(existsSync(path), false);
  });

  for (const [kind, names] of [
    ['stored', ['a', 'b']],
    ['packed', Array.from({ length: 100 }, (_, i) => `a/long/name/of/a/file/${i}`)],
  ] as const)
    test(`is refused wherever it was cut, and whatever byte was changed: ${kind}`, () => {
      const bytes = readFileSync(write(names.map((name) => ({ entry: entryOf('f', name, '0') }))));
      assert.equal(bytes.readUInt32LE(8) >= 2 ** 31, kind === 'stored');
      const path = newPath();
      for (let length = 0; length < bytes.length; length++) {
        writeFileSync(path, bytes.subarray(0, length));
        assert.throws(() => [...readLayerIndex(path)], { name: 'TslayerError', code: 'MALFORMED' }, `${length} bytes`);
      }
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at]! ^= 0x15;
        writeFileSync(path, changed);
        assert.throws(() => [...readLayerIndex(path)], { name: 'TslayerError', code: 'MALFORMED' }, `byte ${at}`);
      }
    });

  test('is told apart from one that is not there', () => {
    assert.throws(() => [...readLayerIndex(newPath())], { code: 'NOT_FOUND' });
  });
});
