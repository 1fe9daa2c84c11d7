/** What AUFS would show of a stack though a layer hides it, found in the layers' directories. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { findGaps } from '../../../drivers/aufs/gaps.ts';
import { tempDir } from '../../support/temp-dir.ts';

/** Gaps of layers, top first, as `PATH FROM-TO`; a name that ends in `/` is a directory. */
function gapsOf(...layers: readonly (readonly string[])[]): string[] {
  using directory = tempDir('aufs-gaps');
  const paths = layers.map((names, at) => {
    const layer = join(directory.path, `${at}`);
    mkdirSync(layer);
    for (const name of names) {
      const path = join(layer, name);
      mkdirSync(name.endsWith('/') ? path : dirname(path), { recursive: true });
      if (!name.endsWith('/')) writeFileSync(path, '');
    }
    return layer;
  });
  return findGaps(paths).map(({ path, from, to }) => `${path} ${from}-${to}`);
}

const OPAQUE = 'd/.wh..wh.opaque';

describe('gaps of a stack', () => {
  test('few stacks have any', () => {
    assert.deepEqual(gapsOf(['d/x', 'f'], ['d/y', 'f'], ['d/s/z', 'f']), []);
    assert.deepEqual(gapsOf(['d/'], ['d']), [], 'nothing below the file');
    assert.deepEqual(gapsOf(['d'], ['d/x']), [], 'a file on top is all that is seen');
    assert.deepEqual(gapsOf(['d/'], ['d'], ['d']), [], 'files below it are passed over');
    assert.deepEqual(gapsOf([OPAQUE], ['e/x']), [], 'nothing below the mark');
  });

  test('a directory below a file below a directory', () => {
    assert.deepEqual(gapsOf(['d/'], ['d'], ['d/x']), ['d 1-2']);
    assert.deepEqual(gapsOf(['d/'], ['e'], ['d/'], ['e'], ['d'], ['e'], ['d/x']), ['d 3-6']);
    assert.deepEqual(gapsOf(['a/b/c/'], ['a/b/c'], ['a/b/c/x']), ['a/b/c 1-2']);
    assert.deepEqual(gapsOf(['a/b/c/'], ['a/b'], ['a/b/c/x']), ['a/b 1-2'], 'what is in it is hidden with it');
  });

  test('a directory below an opaque one, whoever marked it', () => {
    assert.deepEqual(gapsOf([OPAQUE], ['d/x']), ['d 1-1']);
    assert.deepEqual(gapsOf(['d/'], [OPAQUE], ['d'], ['d/x']), ['d 2-3']);
    assert.deepEqual(gapsOf(['d/.wh..wh..opq'], [OPAQUE], ['d/x']), ['d 1-1']);
  });

  test('a whiteout ends the search, of AUFS too', () => {
    assert.deepEqual(gapsOf(['d/'], ['.wh.d'], ['d'], ['d/x']), []);
    assert.deepEqual(gapsOf(['d/'], ['d'], ['.wh.d'], ['d/x']), []);
    assert.deepEqual(gapsOf(['a/d/'], ['a/d'], ['.wh.a'], ['a/d/x']), []);
    assert.deepEqual(gapsOf(['d/x', '.wh..wh.orph/'], ['d/.wh.x'], ['d/x/']), []);
  });

  test('an opaque root is no gap: the stack is cut there', () => {
    assert.deepEqual(gapsOf(['.wh..wh.opaque', 'd/'], ['d/x']), []);
  });
});
