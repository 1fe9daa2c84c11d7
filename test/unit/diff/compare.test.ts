import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TarEntry } from '../../../src/archive/entry.ts';
import { compareTrees, type FileChange } from '../../../src/images/compare-trees.ts';
import { describeFile, readPath, showBytes, showTime } from '../../../src/images/file-description.ts';
import { reportLayers } from '../../../src/images/layer-report.ts';
import { byteString, LayerTree } from '../../../src/images/layer-tree.ts';
import { mergeLayers } from '../../../src/images/merged-tree.ts';
import { entryOf, layerTree } from '../../support/layer-trees.ts';

const merged = (...layers: string[][]) => mergeLayers(layers.map(layerTree));

function brief(changes: Iterable<FileChange>): string[] {
  return [...changes].map((change) => {
    if (change.change === 'modified') return `C ${change.after.path} ${change.what.join()} ${change.bytes}`;
    if (change.change === 'added') return `A ${change.after.path} ${change.bytes}`;
    return `D ${change.before.path} ${change.bytes}`;
  });
}

describe('two images compared', () => {
  test('added, deleted and changed names come sorted, with bytes', () => {
    const changes = compareTrees(
      merged(['d a', 'f a/gone 3', 'f a/same 1', 'f a/grown 1', 'd old', 'f old/x 2']),
      merged(['d a', 'f a/same 1', 'f a/grown 5', 'd new', 'f new/y 4']),
    );
    assert.deepEqual(brief(changes), [
      'D a/gone -3',
      'C a/grown content 4',
      'A new 0',
      'A new/y 4',
      'D old 0',
      'D old/x -2',
    ]);
  });

  test('each attribute is named when it differs', () => {
    const tree = (entry: TarEntry) => {
      const layer = new LayerTree();
      layer.entry(entry);
      return mergeLayers([layer]);
    };
    const what = (before: TarEntry, after: TarEntry) => brief(compareTrees(tree(before), tree(after)));
    const file = entryOf('f', 'x', '4');
    const xattrs = [{ name: Buffer.from('user.a'), value: Buffer.from([0, 255]) }];
    assert.deepEqual(what(file, { ...file, mode: 0o4755 }), ['C x mode 0']);
    assert.deepEqual(what(file, { ...file, gid: 5 }), ['C x owner 0']);
    assert.deepEqual(what(file, { ...file, xattrs }), ['C x xattrs 0']);
    assert.deepEqual(what(file, { ...file, mtime: { seconds: 0, nanoseconds: 1 } }), ['C x content,mtime 0']);
    assert.deepEqual(what(file, entryOf('l', 'x', 'y')), ['C x type -4']);
    assert.deepEqual(what(entryOf('l', 'x', 'y'), entryOf('l', 'x', 'z')), ['C x target 0']);
    assert.deepEqual(what(entryOf('c', 'x'), { ...entryOf('c', 'x'), deviceMinor: 3 }), ['C x device 0']);
  });

  test('bytes decide where they can be compared', () => {
    const [before, after] = [merged(['f x 4']), merged(['f x 4'])];
    assert.deepEqual(brief(compareTrees(before, after)), []);
    assert.deepEqual(brief(compareTrees(before, after, { sameBytes: () => false })), ['C x content 0']);
    assert.deepEqual(brief(compareTrees(before, merged(['f x 5']), { sameBytes: () => true })), ['C x content 1']);
  });

  test('a shared base is not looked into', () => {
    const base = layerTree(['d a', 'f a/x 1']);
    const before = mergeLayers([base]);
    const after = mergeLayers([base, layerTree(['f a/y 1'])]);
    const asked: string[] = [];
    const sameBytes = (_a: unknown, _b: unknown, path: string) => asked.push(path) > 0;
    assert.deepEqual(brief(compareTrees(before, after, { sameBytes })), ['A a/y 1']);
    assert.deepEqual(asked, []);
  });
});

test('layers report what they bring, hide and waste', () => {
  const [base, upper] = reportLayers([
    layerTree(['d a', 'f a/x 100', 'f a/y 50', 'h a/z a/y', 'l l a', 'f keep 7']),
    layerTree(['f a/x 10', '- a/y', 'd b', '! b']),
  ]);
  assert.deepEqual(
    { ...base, largestWasted: undefined },
    {
      files: 3,
      directories: 1,
      others: 1,
      bytes: 157,
      whiteouts: 0,
      opaques: 0,
      hides: { files: 0, bytes: 0 },
      // a/y lives on as a/z.
      wasted: { files: 1, bytes: 100 },
      largestWasted: undefined,
    },
  );
  assert.deepEqual(base?.largestWasted, [{ path: 'a/x', bytes: 100, hiddenBy: 1 }]);
  assert.deepEqual(upper?.hides, { files: 1, bytes: 100 });
  assert.deepEqual([upper?.whiteouts, upper?.opaques], [1, 1]);
});

describe('names as text', () => {
  test('names that are no UTF-8, or would fool a terminal, are escaped and read back', () => {
    for (const bytes of ['plain', 'ünï', 'back\\slash', 'esc\x1b[2J', 'new\nline']) {
      const name = byteString(Buffer.from(bytes));
      const shown = showBytes(name);
      assert.doesNotMatch(shown, /\p{Cc}/u);
      assert.equal(readPath(shown), name, bytes);
    }
    const stray = byteString(Buffer.from([0x61, 0xff, 0x5c, 0x78, 0x66, 0x66]));
    assert.equal(showBytes(stray), 'a\\xff\\\\xff');
    assert.equal(readPath(showBytes(stray)), stray);
  });

  test('times keep their nanoseconds, before 1970 and far beyond', () => {
    assert.equal(showTime({ seconds: 0, nanoseconds: 6 }), '1970-01-01T00:00:00.000000006Z');
    assert.equal(showTime({ seconds: -1, nanoseconds: 0 }), '1969-12-31T23:59:59Z');
    assert.equal(showTime({ seconds: 1e15, nanoseconds: 0 }), '@1000000000000000Z');
  });

  test('a description has what the file has', () => {
    const info = { entry: { ...entryOf('c', 'dev/null'), deviceMajor: 1, deviceMinor: 3, mode: 0o666 }, links: 1 };
    assert.deepEqual(describeFile('dev/null', info), {
      path: 'dev/null',
      type: 'char',
      mode: '0666',
      uid: 0,
      gid: 0,
      size: 0,
      mtime: '1970-01-01T00:00:00Z',
      device: '1:3',
    });
  });
});
