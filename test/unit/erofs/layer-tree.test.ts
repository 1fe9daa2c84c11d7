/** Hostile and odd layers: what the tree refuses, and what it makes of the rest. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ImageReader } from '../../../drivers/erofs/read/image-reader.ts';
import { ErofsSink } from '../../../drivers/erofs/sink.ts';
import { LayerTree } from '../../../drivers/erofs/tree/layer-tree.ts';
import { settle } from '../../../drivers/erofs/tree/settle.ts';
import { buildImage } from '../../support/erofs-image.ts';
import { entryOf } from '../../support/layer-trees.ts';
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';

/** Paths of an image made of these members: `name` or `directory/`. */
function paths(members: readonly TarMember[]): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'tslayer-erofs-unit-'));
  try {
    buildImage(tarBytes(members), join(directory, 'image'));
    assert.deepEqual(readdirSync(directory), ['image']);
    using image = new ImageReader(join(directory, 'image'));
    const found: string[] = [];
    const walk = (nid: number, prefix: string): void => {
      for (const { name, nid: child, type } of image.entries(image.inode(nid))) {
        const path = prefix + Buffer.from(name).toString('latin1');
        found.push(type === 2 ? `${path}/` : path);
        if (type === 2) walk(child, `${path}/`);
      }
    };
    walk(image.superblock.rootNid, '');
    return found;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const dir = (path: string): TarMember => ({ path, type: '5' });
const link = (path: string, target: string): TarMember => ({ path, type: '2', link: target });
const hard = (path: string, target: string): TarMember => ({ path, type: '1', link: target });

test('names are in order, however much the tree still grows while it is settled', () => {
  // Whiteouts get a mark in each directory, and all marks together need more memory than the names had.
  const members = Array.from({ length: 3000 }, (_, i) => `d${i}`).flatMap((name) => [
    dir(name),
    ...['node-fetch', 'node.d.ts', 'node', '.wh.gone'].map((file) => ({ path: `${name}/${file}` })),
  ]);
  const found = paths(members);
  assert.equal(found.length, 3000 * 5);
  assert.deepEqual(found.slice(1, 5), ['d0/gone', 'd0/node', 'd0/node-fetch', 'd0/node.d.ts']);
  assert.deepEqual(found, found.toSorted());
});

describe('an EROFS layer stays inside itself', () => {
  const climbs: Record<string, [TarMember[], string[]]> = {
    'through an absolute symlink': [
      [link('d', '/etc'), { path: 'd/x' }],
      ['d', 'etc/', 'etc/x'],
    ],
    'through a symlink of many ..': [
      [link('d', '../../../../etc'), { path: 'd/x' }],
      ['d', 'etc/', 'etc/x'],
    ],
    'through a chain of symlinks': [
      [dir('real'), link('a', 'b'), link('b', '/c/../real'), dir('c'), { path: 'a/x' }],
      ['a', 'b', 'c/', 'real/', 'real/x'],
    ],
    'through a symlink in a symlink': [
      [dir('p'), link('p/up', '..'), link('q', 'p/up/p/./up'), { path: 'q/x' }],
      ['p/', 'p/up', 'q', 'x'],
    ],
  };
  for (const [name, [members, found]] of Object.entries(climbs)) {
    test(name, () => assert.deepEqual(paths(members), found));
  }

  test('a loop of symlinks is refused', () => {
    assert.throws(() => paths([link('a', 'b'), link('b', 'a'), { path: 'a/x' }]), { code: 'UNSAFE_LAYER' });
  });

  test('a hard link through a symlink finds its target inside', () => {
    assert.deepEqual(paths([dir('etc'), { path: 'etc/f' }, link('l', '/etc'), hard('h', 'l/f')]), [
      'etc/',
      'etc/f',
      'h',
      'l',
    ]);
  });
});

describe('an EROFS layer refuses', () => {
  const cases: Record<string, [TarMember[], string]> = {
    'a hard link to a file that it does not have': [[hard('h', 'etc/passwd')], 'MALFORMED'],
    'a hard link to a file that comes later': [[hard('h', 'f'), { path: 'f' }], 'MALFORMED'],
    'a hard link to a directory': [[dir('d'), hard('h', 'd')], 'MALFORMED'],
    'a hard link to a whiteout': [[{ path: '.wh.f' }, hard('h', 'f')], 'MALFORMED'],
    'a file in a file': [[{ path: 'f' }, { path: 'f/x' }], 'MALFORMED'],
    'a whiteout in disguise: the device 0:0': [[{ path: 'c', type: '3', device: [0, 0] }], 'UNSAFE_LAYER'],
    'a name of 256 bytes': [[{ path: 'n'.repeat(256) }], 'MALFORMED'],
    'a symlink target of 4096 bytes': [[link('l', 'x'.repeat(4096))], 'MALFORMED'],
    'a device number that no kernel has': [[{ path: 'b', type: '4', device: [4096, 0] }], 'MALFORMED'],
    'an owner of 4294967295': [[{ path: 'f', pax: { uid: '4294967295' } }], 'MALFORMED'],
  };
  for (const [name, [members, code]] of Object.entries(cases)) {
    test(name, () => assert.throws(() => paths(members), { code }));
  }

  test('names that a kernel would misread', () => {
    for (const path of ['a/../b', '.', 'a/..', 'a//b', 'a\0b']) {
      assert.throws(() => new LayerTree(100).add(entryOf('f', path)), { name: 'TslayerError' }, path);
    }
  });

  test('more names than it is allowed, implicit parents counted', () => {
    const tree = new LayerTree(100);
    assert.throws(() => tree.add(entryOf('f', `${'d/'.repeat(101)}f`)), { code: 'LIMIT_EXCEEDED' });
  });

  test('a file whose data would lie behind the end of the tar', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tslayer-erofs-unit-'));
    const image = join(directory, 'image');
    writeFileSync(image, new Uint8Array(4096 + 1024));
    const sink = new ErofsSink({ path: image, name: 'x', durable: false });
    try {
      sink.entry(entryOf('f', 'f', '600', { dataOffset: 512 }));
      assert.throws(() => sink.finish(1024), { code: 'MALFORMED' });
    } finally {
      sink.close();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('an EROFS layer makes of odd entries', () => {
  const cases: Record<string, [TarMember[], string[]]> = {
    'nothing at all': [[], []],
    'a file without parents': [[{ path: 'a/b/c' }], ['a/', 'a/b/', 'a/b/c']],
    'a parent after its child': [
      [{ path: 'a/c' }, dir('a')],
      ['a/', 'a/c'],
    ],
    'a directory replaced by a file': [[dir('a'), { path: 'a/x' }, { path: 'a' }], ['a']],
    'a directory replaced by a file and made again': [
      [dir('a'), { path: 'a/x' }, { path: 'a' }, dir('a'), { path: 'a/y' }],
      ['a/', 'a/y'],
    ],
    'a symlink replaced by a directory': [
      [dir('r'), link('a', 'r'), dir('a'), { path: 'a/x' }],
      ['a/', 'a/x', 'r/'],
    ],
    'names around the dots': [
      ['.a', '...', '..a', '.-', '-', '!'].map((path) => ({ path })),
      ['!', '-', '.-', '...', '..a', '.a'],
    ],
  };
  for (const [name, [members, found]] of Object.entries(cases)) {
    test(name, () => assert.deepEqual(paths(members), found));
  }

  test('a duplicate of a hard-linked name, which breaks the link', () => {
    const tree = new LayerTree(100);
    tree.add(entryOf('f', 'a', '0'));
    tree.add(entryOf('h', 'b', 'a'));
    tree.add(entryOf('f', 'a', '0'));
    settle(tree);
    const links = Array.from(tree.inodes.links.subarray(2, tree.inodes.count));
    assert.deepEqual(links, [1, 1]);
  });
});
