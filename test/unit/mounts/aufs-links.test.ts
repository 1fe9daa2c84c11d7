/** The flush of pseudo-links, over a directory that stands for a union and files that stand for sysfs. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { flushPseudoLinks, forgetPseudoLinks } from '../../../src/mounts/aufs-links.ts';
import { branchesOf, unionIdOf, unionsNow, writableBranches } from '../../../src/mounts/aufs-unions.ts';
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
    assert.equal(unionIdOf(mount), '1f');
    assert.equal(unionIdOf({ ...mount, type: 'overlay' }), undefined);
    assert.deepEqual(unionsNow(sysfs), ['1f']);
    assert.deepEqual(unionsNow(join(sysfs, 'no-aufs')), []);
    assert.deepEqual(writableBranches('1f', sysfs), [branch]);
    assert.deepEqual(writableBranches('unknown', sysfs), []);
  });

  test('the branches of layers too, which removing a layer must know of', () => {
    using directory = tempDir('plnk');
    const { sysfs, branch } = union(directory);
    writeFileSync(join(sysfs, 'si_1f/br10'), '/other/diff=rw+icex\n');
    writeFileSync(join(sysfs, 'si_1f/br2'), '/with\\040space\\134ä/diff=rr\n');
    assert.deepEqual(branchesOf('1f', sysfs), [
      { path: branch, writable: true },
      { path: '/lower/diff', writable: false },
      { path: '/with space\\ä/diff', writable: false },
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

  test('what an earlier union listed is forgotten, and nothing else in the branch', () => {
    using directory = tempDir('plnk');
    const { branch } = union(directory);
    for (const name of ['12.34', '13.35']) writeFileSync(join(branch, '.wh..wh.plnk', name), '');
    writeFileSync(join(branch, 'file'), '');
    forgetPseudoLinks(branch);
    assert.deepEqual(readdirSync(join(branch, '.wh..wh.plnk')), []);
    assert.ok(existsSync(join(branch, 'file')));
    forgetPseudoLinks(join(branch, 'never mounted'));
  });

  test('a union without any is not walked', () => {
    using directory = tempDir('plnk');
    const { mount, sysfs } = union(directory);
    assert.equal(flushPseudoLinks({ ...mount, mountPoint: '/nonexistent' }, sysfs), 0);
  });
});
