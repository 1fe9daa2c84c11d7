/** The flush of pseudo-links, over a directory that stands for a union and files that stand for sysfs. */
import assert from 'node:assert/strict';
import { linkSync, lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { branchesOf, flushPseudoLinks, writableBranches } from '../../../src/mounts/aufs-links.ts';
import type { MountInfo } from '../../../src/mounts/mountinfo.ts';
import { requires, root } from '../../support/requires.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

function union({ path }: TempDir): { mount: MountInfo; sysfs: string; branch: string } {
  const [sysfs, branch, mountPoint] = ['sys', 'branch', 'union'].map((name) => join(path, name)) as [
    string,
    string,
    string,
  ];
  for (const directory of [join(sysfs, 'si_1f'), join(branch, '.wh..wh.plnk'), mountPoint]) {
    mkdirSync(directory, { recursive: true });
  }
  writeFileSync(join(sysfs, 'si_1f/br0'), `${branch}=rw\n`);
  writeFileSync(join(sysfs, 'si_1f/br1'), '/lower/diff=ro+wh\n');
  writeFileSync(join(sysfs, 'si_1f/brid0'), '64\n');
  const mount = {
    id: 1,
    parentId: 0,
    device: '0:9',
    root: '/',
    mountPoint,
    options: ['rw'],
    propagation: [],
    type: 'aufs',
    source: 'none',
    superOptions: ['rw', 'si=1f', 'dio'],
  };
  return { mount, sysfs, branch };
}

describe('pseudo-links', () => {
  test('the writable branch is read from sysfs', () => {
    using directory = tempDir('plnk');
    const { mount, sysfs, branch } = union(directory);
    assert.deepEqual(writableBranches(mount, sysfs), [branch]);
    assert.deepEqual(writableBranches({ ...mount, superOptions: ['rw'] }, sysfs), []);
    assert.deepEqual(writableBranches({ ...mount, superOptions: ['si=unknown'] }, sysfs), []);
  });

  test('the branches of layers too, which removing a layer must know of', () => {
    using directory = tempDir('plnk');
    const { mount, sysfs, branch } = union(directory);
    writeFileSync(join(sysfs, 'si_1f/br2'), '/with space/diff=rr\n');
    writeFileSync(join(sysfs, 'si_1f/br3'), '/other/diff=rw+icex\n');
    assert.deepEqual(branchesOf(mount, sysfs), [
      { path: branch, writable: true },
      { path: '/lower/diff', writable: false },
      { path: '/with space/diff', writable: false },
      { path: '/other/diff', writable: true },
    ]);
  });

  test('every name of a listed inode is touched, and nothing else', (t) => {
    if (!requires(t, root)) return;
    using directory = tempDir('plnk');
    const { mount, sysfs, branch } = union(directory);
    const at = (name: string): string => join(mount.mountPoint, name);
    mkdirSync(at('d'));
    for (const name of ['listed', 'other']) writeFileSync(at(name), '');
    linkSync(at('listed'), at('d/second'));
    writeFileSync(join(branch, '.wh..wh.plnk', `${lstatSync(at('listed')).ino}.77`), '');
    writeFileSync(join(branch, '.wh..wh.plnk', 'not-a-number'), '');
    const before = lstatSync(at('other'), { bigint: true }).ctimeNs;
    assert.equal(flushPseudoLinks(mount, sysfs), 2);
    assert.equal(lstatSync(at('other'), { bigint: true }).ctimeNs, before);
  });

  test('a union without any is not walked', () => {
    using directory = tempDir('plnk');
    const { mount, sysfs } = union(directory);
    assert.equal(flushPseudoLinks({ ...mount, mountPoint: '/nonexistent' }, sysfs), 0);
  });
});
