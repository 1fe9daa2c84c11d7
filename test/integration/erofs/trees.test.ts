/** What the kernel shows of an image that our writer made equals what GNU tar extracts from the same archive. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { getXattr, listXattrs } from '../../../src/sys/xattr.ts';
import { fsck, fsckErofs } from '../../support/erofs-fsck.ts';
import { buildImage, mountImage } from '../../support/erofs-image.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { fixtures, fixturesDirectory, kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const needs = [root, kernelFs('erofs'), kernel(6, 12), program('tar'), fsckErofs];

const ATTRIBUTES = ['--xattrs', '--xattrs-include=*', '--acls'];

function pack(directory: string, tar: string, options: readonly string[]): void {
  execFileSync('tar', ['--numeric-owner', ...options, '-cf', tar, '-C', directory, '.'], { stdio: 'pipe' });
}

/** Extracts as root with all that the archive holds. */
function extract(tar: string, directory: string): void {
  mkdirSync(directory);
  execFileSync('tar', [
    '-xpf',
    tar,
    '--numeric-owner',
    '--same-owner',
    '--delay-directory-restore',
    ...ATTRIBUTES,
    '-C',
    directory,
  ]);
}

function differences(tar: string, dir: string, seen = (record: TreeRecord): TreeRecord => record): string[] {
  const image = join(dir, 'image');
  buildImage(tar, image);
  assert.equal(fsck(image), '');
  extract(tar, join(dir, 'extracted'));
  using mounted = mountImage(image, join(dir, 'mounted'));
  return compareTrees(snapshotTree(join(dir, 'extracted')).map(seen), snapshotTree(mounted.path).map(seen));
}

interface AnyMember {
  readonly type: string;
  readonly directory: number;
  readonly length: number;
  readonly target: number;
  readonly xattr: number | undefined;
  readonly mode: number;
}

const PARENTS: readonly TarMember[] = [
  { path: './', type: '5', mode: 0o755 },
  ...[1, 2, 3].map((i) => ({ path: `d${i}`, type: '5' })),
];

function toMember({ type, directory, length, target, xattr, mode }: AnyMember, index: number): TarMember {
  const name = `${index}-`.padEnd(length, 'n');
  return {
    path: directory === 0 ? name : `d${directory}/${name}`,
    type,
    mode,
    mtime: index,
    ...(type === '2' && { link: 't'.repeat(target) }),
    ...(type === '0' && { data: 'x'.repeat(target) }),
    ...(xattr !== undefined && type !== '2' && { xattrs: { 'trusted.any': Buffer.alloc(xattr, 7) } }),
  };
}

describe('an EROFS layer', () => {
  test('of every hard case equals what GNU tar extracts', (t) => {
    if (!requires(t, ...needs, program('setfacl'), program('setcap'))) return;
    using dir = tempDir('erofs-hard');
    makeHardTree(join(dir.path, 'source'));
    pack(join(dir.path, 'source'), join(dir.path, 'layer.tar'), ['--format=pax', '--sparse', ...ATTRIBUTES]);
    assert.deepEqual(differences(join(dir.path, 'layer.tar'), dir.path), []);
  });

  for (const [name, options] of Object.entries({
    'old GNU': ['--format=gnu'],
    'PAX 0.0': ['--format=pax', '--sparse-version=0.0'],
    'PAX 0.1': ['--format=pax', '--sparse-version=0.1'],
    'PAX 1.0': ['--format=pax', '--sparse-version=1.0'],
  })) {
    test(`of sparse files, ${name}, equals what GNU tar extracts`, (t) => {
      if (!requires(t, ...needs, program('setfacl'), program('setcap'))) return;
      using dir = tempDir('erofs-sparse');
      makeHardTree(join(dir.path, 'source'), { crowd: 10 });
      pack(join(dir.path, 'source/sparse'), join(dir.path, 'layer.tar'), ['--sparse', ...options]);
      assert.deepEqual(differences(join(dir.path, 'layer.tar'), dir.path), []);
    });
  }

  test('with duplicate entries equals what GNU tar extracts', (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-duplicates');
    const tar = join(dir.path, 'layer.tar');
    const xattrs = { 'user.first': Buffer.from('1') };
    const members: TarMember[] = [
      { path: './', type: '5', mode: 0o755, mtime: 1 },
      { path: 'file', data: 'first', mode: 0o4755, uid: 7, xattrs, mtime: 1 },
      { path: 'file', data: 'second', mtime: 2 },
      { path: 'linked', data: 'linked', mtime: 3 },
      { path: 'link', type: '1', link: 'linked' },
      { path: 'linked', data: 'alone', mtime: 4 },
      { path: 'd', type: '5', mode: 0o700, uid: 5, mtime: 5 },
      { path: 'd/in', data: 'in', mtime: 6 },
      { path: 'd', type: '5', mode: 0o2711, mtime: 7 },
      { path: 'd/in', type: '2', link: 'file', mtime: 8 },
      { path: 'symlink', type: '2', link: 'd', mtime: 9 },
      { path: 'symlink', data: 'a file now', mtime: 10 },
      { path: 'fifo', type: '6', mtime: 11 },
      { path: 'fifo', data: 'a file, too', mtime: 12 },
      { path: 'empty', type: '5', mtime: 13 },
      { path: 'empty', data: 'no directory', mtime: 14 },
      { path: 'link', type: '1', link: 'file' },
      { path: './', type: '5', mode: 0o711, gid: 9, mtime: 15 },
    ];
    writeFileSync(tar, tarBytes(members));
    assert.deepEqual(differences(tar, dir.path), []);
  });

  test('with entries whose parents are not named equals what GNU tar extracts, but for their times', (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-parents');
    const tar = join(dir.path, 'layer.tar');
    const members: TarMember[] = [
      { path: './', type: '5', mtime: 1 },
      { path: 'a/b/c/file', data: 'x', mtime: 2 },
      { path: 'a/b/named', type: '5', mode: 0o700, mtime: 3 },
      { path: './e/f/', type: '5', mode: 0o1777, mtime: 4 },
      { path: 'g/link', type: '1', link: 'a/b/c/file' },
      { path: 'h/null', type: '3', device: [1, 3], mtime: 5 },
      { path: 'a', type: '5', mode: 0o711, uid: 3, mtime: 6 },
    ];
    writeFileSync(tar, tarBytes(members));
    const implied = ['a/b', 'a/b/c', 'e', 'g', 'h'];
    // The bare image marks them as implied, for the driver; overlayfs shows the mark to nobody.
    const lines = differences(tar, dir.path, (record) =>
      implied.includes(record.path) ? { ...record, mtime: '', xattrs: [] } : record,
    );
    assert.deepEqual(lines, []);
  });

  test('of 240 KB of xattrs on one inode shows them all', (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-xattrs');
    const names = Array.from({ length: 200 }, (_, i) => `user.${'n'.repeat(100)}${i}`);
    const value = (i: number): Buffer => Buffer.alloc(i < 3 ? 65_535 : 120, i);
    const xattrs = Object.fromEntries(names.map((name, i) => [name, value(i)]));
    const image = join(dir.path, 'image');
    const tar = tarBytes([{ path: './', type: '5', mtime: 1 }, { path: 'f', xattrs, data: 'content' }, { path: 'g' }]);
    buildImage(tar, image);
    assert.equal(fsck(image), '');
    using mounted = mountImage(image, join(dir.path, 'mounted'));
    const file = join(mounted.path, 'f');
    assert.deepEqual(listXattrs(file).map(String).sort(), [...names].sort());
    for (const [i, name] of names.entries()) assert.deepEqual(getXattr(file, name), value(i));
    if (!requires(t, () => cannotLoop('xfs'))) return;
    // ext4 cannot hold them.
    using disk = loopFs('xfs');
    writeFileSync(join(dir.path, 'layer.tar'), tar);
    extract(join(dir.path, 'layer.tar'), join(disk.path, 'extracted'));
    assert.deepEqual(compareTrees(snapshotTree(join(disk.path, 'extracted')), snapshotTree(mounted.path)), []);
  });

  test('of a root directory of any size shows its names', (t) => {
    if (!requires(t, ...needs)) return;
    using dir = tempDir('erofs-root');
    const image = join(dir.path, 'image');
    // Around the sizes at which the root's entries no longer fit behind its inode, in the first block or at all.
    for (let length = 200; length <= 255; length += 5) {
      for (const more of [[], [{ path: './', type: '5', xattrs: { 'trusted.x': Buffer.alloc(40) } }]]) {
        buildImage(tarBytes([...more, { path: 'a'.repeat(length) }, { path: 'b'.repeat(100) }]), image);
        assert.equal(fsck(image), '');
        using mounted = mountImage(image, join(dir.path, 'mounted'));
        assert.deepEqual(readdirSync(mounted.path), ['a'.repeat(length), 'b'.repeat(100)]);
      }
    }
  });

  test('of any names, links and attributes equals what GNU tar extracts', (t) => {
    if (!requires(t, ...needs)) return;
    const length = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 240, max: 255 }));
    const member = fc.record({
      type: fc.constantFrom('0', '2', '5', '6'),
      directory: fc.integer({ min: 0, max: 3 }),
      length,
      // Around the sizes at which a link, with or without attributes, no longer fits into its inode's block.
      target: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 300, max: 470 }), fc.constant(4000)),
      xattr: fc.option(fc.integer({ min: 0, max: 900 }), { freq: 3, nil: undefined }),
      mode: fc.integer({ min: 0, max: 0o7777 }),
    });
    fc.assert(
      fc.property(fc.array(member, { maxLength: 60 }), (members) => {
        using dir = tempDir('erofs-any');
        const tar = join(dir.path, 'layer.tar');
        writeFileSync(tar, tarBytes([...PARENTS, ...members.map(toMember)]));
        assert.deepEqual(differences(tar, dir.path), []);
      }),
      { numRuns: 25 },
    );
  });

  test('of an Alpine root file system equals what GNU tar extracts', (t) => {
    const name = 'alpine-minirootfs-3.20.3-x86_64.tar.gz';
    if (!requires(t, ...needs, fixtures(name))) return;
    using dir = tempDir('erofs-alpine');
    const tar = join(dir.path, 'layer.tar');
    execFileSync('sh', ['-c', 'gzip -dc "$0" > "$1"', join(fixturesDirectory, name), tar]);
    assert.deepEqual(differences(tar, dir.path), []);
  });
});
