/** What benchmarks are put together from: sums, tables, charts, and the count of what layers share. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { barChart } from '../../../src/bench/bar-chart.ts';
import { measureSharing, type SharedLayer } from '../../../src/bench/sharing.ts';
import { summarize } from '../../../src/bench/statistics.ts';
import { textTable } from '../../../src/bench/table.ts';
import { tarBytes } from '../../support/tar-bytes.ts';

describe('a summary', () => {
  test('has the middle one, or the mean of the two in the middle', () => {
    assert.deepEqual(summarize([3, 1, 2]), { median: 2, min: 1, max: 3, count: 3 });
    assert.deepEqual(summarize([4, 1, 2, 10]), { median: 3, min: 1, max: 10, count: 4 });
  });
});

describe('a table', () => {
  test('aligns words to the left and numbers to the right', () => {
    assert.equal(
      textTable(
        ['tool', 'ms'],
        [
          ['a', '5'],
          ['bcd', '1234'],
        ],
      ),
      'tool    ms\n----  ----\na        5\nbcd   1234',
    );
  });
});

describe('a chart', () => {
  const bars = [
    { label: 'curl | tar & <co>', value: 4, min: 3, max: 8 },
    { label: 'ours', value: 2, highlight: true },
  ];
  const svg = barChart({ title: 'T', notes: ['n'], unit: 's', groups: [{ title: 'g', bars }] });

  test('escapes what labels say', () => {
    assert.match(svg, /curl \| tar &#38; &#60;co&#62;/);
  });

  test('draws bars in proportion, the largest spread at full width', () => {
    const widths = [...svg.matchAll(/<rect class="bar[^>]* width="([\d.]+)"/g)].map(([, width]) => Number(width));
    assert.equal(widths.length, 2);
    assert.ok(Math.abs(widths[0]! / widths[1]! - 2) < 0.01);
    assert.match(svg, /x2="770.0"/);
  });
});

describe('sharing', () => {
  const layer = (key: string, files: Record<string, string>): SharedLayer => {
    const tar = tarBytes(Object.entries(files).map(([path, data]) => ({ path, data })));
    return {
      key,
      async *open() {
        yield gzipSync(tar);
      },
    };
  };
  const block = (letter: string): string => letter.repeat(4096);

  test('counts layers once, equal files once, equal blocks once', async () => {
    const base = layer('base', { a: block('a') + block('b'), empty: '' });
    const one = layer('one', { copy: block('a') + block('b'), own: block('c') });
    const two = layer('two', { mixed: `${block('c')}${block('a')}tail` });
    const found = await measureSharing([
      { name: 'x', layers: [base, one] },
      { name: 'y', layers: [base, two] },
    ]);
    assert.deepEqual(found, {
      images: 2,
      layers: { references: 4, distinct: 3 },
      naive: { bytes: 8192 * 2 + 12_288 + 8196, files: 2 + 2 + 2 + 1 },
      byLayer: { bytes: 8192 + 12_288 + 8196, files: 5 },
      byFile: { bytes: 8192 + 4096 + 8196, files: 4 },
      byBlockBytes: 3 * 4096 + 4,
    });
  });
});
