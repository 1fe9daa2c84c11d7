import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findNode, type MergedNode, mergeLayers, resolveNode, walkTree } from '../../../src/images/merged-tree.ts';
import { layerTree } from '../../support/layer-trees.ts';

/** `path:layer` of every name. */
function names(root: MergedNode): string[] {
  return [...walkTree(root)].map(({ path, node }) => `${path}:${node.layer}`);
}

const merge = (...layers: string[][]) => mergeLayers(layers.map(layerTree));

describe('a stack of layers', () => {
  test('shows the upper file, and the union of directories', () => {
    const root = merge(['d etc', 'f etc/a 1', 'f etc/b 2'], ['f etc/b 3', 'f etc/c 4']);
    assert.deepEqual(names(root), ['etc:0', 'etc/a:0', 'etc/b:1', 'etc/c:1']);
    assert.equal(findNode(root, 'etc/b')?.info?.entry.size, 3);
  });

  test('a whiteout hides a file or a whole directory of lower layers only', () => {
    const base = ['d a', 'f a/x 1', 'f a/y 1', 'f z 1'];
    assert.deepEqual(names(merge(base, ['- a/x'])), ['a:0', 'a/y:0', 'z:0']);
    assert.deepEqual(names(merge(base, ['- a'])), ['z:0']);
    assert.deepEqual(names(merge(base, ['- a'], ['f a/n 1'])), ['a:2', 'a/n:2', 'z:0']);
    assert.deepEqual(names(merge([...base, '- a/x'])), ['a:0', 'a/x:0', 'a/y:0', 'z:0']);
  });

  test('of a whiteout and the same name in one layer the name wins, a directory as an opaque one', () => {
    const base = ['d a', 'f a/x 1', 'f b 1'];
    for (const upper of [
      ['- a', 'd a', 'f a/n 1'],
      ['d a', 'f a/n 1', '- a'],
    ]) {
      assert.deepEqual(names(merge(base, upper)), ['a:1', 'a/n:1', 'b:0']);
    }
    assert.deepEqual(names(merge(base, ['- b', 'f b 2'])), ['a:0', 'a/x:0', 'b:1']);
  });

  test('an opaque directory hides what lower layers have in it, whenever the marker comes', () => {
    const base = ['d a', 'f a/x 1', 'd a/sub', 'f a/sub/y 1'];
    for (const upper of [
      ['d a', '! a', 'f a/n 1'],
      ['d a', 'f a/n 1', '! a'],
    ]) {
      assert.deepEqual(names(merge(base, upper)), ['a:1', 'a/n:1']);
    }
    assert.deepEqual(names(merge(['f x 1'], ['f y 1', '! '])), ['y:1']);
  });

  test('a file replaces a directory and the other way round', () => {
    assert.deepEqual(names(merge(['d a', 'f a/x 1'], ['f a 5'])), ['a:1']);
    assert.deepEqual(names(merge(['f a 5'], ['f a/x 1'])), ['a:1', 'a/x:1']);
    assert.deepEqual(names(merge(['d a', 'f a/x 1', 'f a 5'])), ['a:0']);
  });

  test('a directory that a layer only implies keeps the attributes from below', () => {
    const root = merge(['d etc', 'f etc/a 1'], ['f etc/b 1']);
    assert.equal(findNode(root, 'etc')?.layer, 0);
    assert.ok(findNode(root, 'etc')?.info);
  });

  test('names through a link of the same layer land where the link leads', () => {
    assert.deepEqual(names(merge(['d usr', 'd usr/bin', 'l bin usr/bin', 'f bin/sh 1'])), [
      'bin:0',
      'usr:0',
      'usr/bin:0',
      'usr/bin/sh:0',
    ]);
    assert.deepEqual(names(merge(['l up ../../..', 'f up/x 1'])), ['up:0', 'x:0']);
    assert.throws(() => layerTree(['l a b', 'l b a', 'f a/x 1']), /loop of links/);
  });

  test('hard links share their file, also one of a lower layer', () => {
    const root = merge(['f a 7', 'h b a'], ['h c a']);
    const infos = ['a', 'b', 'c'].map((name) => findNode(root, name)?.info);
    assert.equal(infos[0], infos[1]);
    assert.equal(infos[0], infos[2]);
  });
});

test('a path is opened as inside the image: links followed, never out of the root', () => {
  const root = merge([
    'd usr',
    'd usr/bin',
    'f usr/bin/sh 1',
    'l bin usr/bin',
    'l abs /usr/bin',
    'l out ../../usr',
    'l a b',
    'l b a',
  ]);
  const at = (path: string, followLast = true) => resolveNode(root, path, { followLast })?.path;
  assert.equal(at('bin/sh'), 'usr/bin/sh');
  assert.equal(at('/abs/../bin/sh'), 'usr/bin/sh');
  assert.equal(at('out/bin/sh'), 'usr/bin/sh');
  assert.equal(at('bin'), 'usr/bin');
  assert.equal(at('bin', false), 'bin');
  assert.equal(at('a'), undefined);
  assert.equal(at('usr/bin/sh/x'), undefined);
  assert.equal(at('/'), '');
});
