import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ago, duration, printable, printableJson, shortDigest, size } from '../../../src/cli/format.ts';
import { suggest } from '../../../src/cli/suggest.ts';
import { renderScreen, renderTable } from '../../../src/cli/table.ts';

describe('values for people', () => {
  test('sizes are decimal', () => {
    assert.equal(size(0), '0 B');
    assert.equal(size(7_340_000), '7.34 MB');
  });

  test('times are told by their largest unit', () => {
    const now = Date.parse('2024-06-01T12:00:00Z');
    assert.equal(ago('2024-06-01T11:59:59Z', now), '1 second ago');
    assert.equal(ago('2024-06-01T09:00:00Z', now), '3 hours ago');
    assert.equal(ago('2024-04-01T09:00:00Z', now), '2 months ago');
    assert.equal(ago('2024-06-01T12:00:00Z', now), 'now');
    assert.equal(ago(undefined, now), '');
    assert.equal(ago('nonsense', now), '');
  });

  test('durations', () => {
    assert.equal(duration(5.4), '5s');
    assert.equal(duration(65), '1m 5s');
    assert.equal(duration(7_260), '2h 1m');
    assert.equal(duration(Number.POSITIVE_INFINITY), '--');
  });

  test('digests are cut to twelve digits', () => {
    assert.equal(shortDigest(`sha256:${'ab'.repeat(32)}`), 'abababababab');
  });
});

describe('text of strangers', () => {
  test('a label that rewrites the terminal is spelled out', () => {
    assert.equal(printable('a\x1b[2Jb'), 'a\\x1b[2Jb');
    assert.equal(printable('a\u009b2Jb'), 'a\\x9b2Jb');
  });

  test('a name that reverses what follows is spelled out', () => {
    assert.equal(printable('a\u202egpj.exe'), 'a\\u202egpj.exe');
  });

  test('a message with a line break stays one line', () => {
    assert.equal(printable('failed\ntslayer: done'), 'failed tslayer: done');
  });

  test('JSON on a terminal is harmless, and says the same', () => {
    const evil = { label: 'a\u009b2Jb\u202ec\x1b\x7f größe' };
    const json = printableJson(JSON.stringify(evil));
    assert.ok(!/[\u007f-\u009f\u202e]/.test(json), json);
    assert.deepEqual(JSON.parse(json), evil);
    assert.ok(json.includes('größe'));
  });

  test('other languages are left alone', () => {
    assert.equal(printable('größe 大きさ'), 'größe 大きさ');
  });
});

describe('tables', () => {
  test('columns are aligned and lines end after the last word', () => {
    const text = renderTable(
      ['NAME', 'SIZE'],
      [
        ['alpine', '3 MB'],
        ['b', ''],
      ],
    );
    assert.equal(text, 'NAME     SIZE\nalpine   3 MB\nb\n');
  });

  test('cells of strangers stay in their line', () => {
    assert.equal(renderTable(['A'], [['x\ny\x1b[1m']]), 'A\nx y\\x1b[1m\n');
  });

  test('a screen shows the columns and lines that have room, and counts the others', () => {
    const rows = ['one', 'two', 'three', 'four'].map((name) => [name, '10', 'much text']);
    const show = (columns: number, lines: number): string =>
      renderScreen(['NAME', 'N', 'TEXT'], rows, { columns, rows: lines });
    assert.equal(show(80, 24), renderTable(['NAME', 'N', 'TEXT'], rows));
    assert.equal(show(22, 6), renderTable(['NAME', 'N', 'TEXT'], rows));
    assert.equal(show(20, 5), 'NAME   N\none    10\ntwo    10\nand 2 more\n');
    assert.equal(show(3, 24), 'NAME\none\ntwo\nthree\nfour\n');
  });
});

describe('suggestions', () => {
  const known = ['images', 'import', 'info', 'inspect', 'pull', 'push'];
  test('a typo finds its word', () => {
    assert.equal(suggest('imges', known), 'images');
    assert.equal(suggest('pusl', known), 'pull');
    assert.equal(suggest('insp', known), 'inspect');
  });

  test('nothing is made up for a word that is like none', () => {
    assert.equal(suggest('frobnicate', known), undefined);
  });
});
