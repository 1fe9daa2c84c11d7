/** What the kernel shows of an image that our writer made equals what GNU tar extracts from the same archive. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fsck, fsckErofs } from '../../support/erofs-fsck.ts';
import { buildImage, mountImage } from '../../support/erofs-image.ts';
import { makeHardTree } from '../../support/hard-tree.ts';
import { fixtures, fixturesDirectory, kernel, kernelFs, program, requires, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

const needs = [root, kernelFs('erofs'), kernel(6, 12), program('tar'), fsckErofs];

const ATTRIBUTES = ['--xattrs', '--xattrs-include=*', '--acls'];

function pack(directory: string, tar: string, options: readonly string[]): void {
  execFileSync('tar', ['--numeric-owner', ...options, '-cf', tar, '-C', directory, '.'], { stdio: 'pipe' });
}

/** Extracts as root with all that the archive holds. */
function extract(tar: string, directory: string): void {
  mkdirSync(directory);
  execFileSync('tar', ['-xpf', tar, '--numeric-owner', '--same-owner', ...ATTRIBUTES, '-C', directory]);
}

function differences(tar: string, dir: string): string[] {
  const image = join(dir, 'image');
  buildImage(tar, image);
  assert.equal(fsck(image), '');
  extract(tar, join(dir, 'extracted'));
  using mounted = mountImage(image, join(dir, 'mounted'));
  return compareTrees(snapshotTree(join(dir, 'extracted')), snapshotTree(mounted.path));
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

  test('of an Alpine root file system equals what GNU tar extracts', (t) => {
    const name = 'alpine-minirootfs-3.20.3-x86_64.tar.gz';
    if (!requires(t, ...needs, fixtures(name))) return;
    using dir = tempDir('erofs-alpine');
    const tar = join(dir.path, 'layer.tar');
    execFileSync('sh', ['-c', 'gzip -dc "$0" > "$1"', join(fixturesDirectory, name), tar]);
    assert.deepEqual(differences(tar, dir.path), []);
  });
});
