/** The built-in drivers on other file systems than the machine's own, and those that they refuse. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { conformance } from '../../drivers/conformance/index.ts';
import { driver as erofs } from '../../drivers/erofs/index.ts';
import { driver as overlayfs } from '../../drivers/overlayfs/index.ts';
import { driver as vfs } from '../../drivers/vfs/index.ts';
import { performMounts } from '../../src/mounts/perform.ts';
import { detachBelow } from '../../src/mounts/unmount.ts';
import { cannotLoop, type LoopFs, type LoopType, loopFs } from '../support/loop-fs.ts';
import { kernelFs, missing, root } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

const disks = new Map<LoopType, LoopFs>();
after(() => {
  for (const disk of disks.values()) disk[Symbol.dispose]();
});

function diskOf(type: LoopType): string {
  const disk = disks.get(type) ?? loopFs(type);
  disks.set(type, disk);
  return disk.path;
}

conformance('vfs on btrfs', {
  module: vfs,
  directory: () => diskOf('btrfs'),
  skip: cannotLoop('btrfs'),
  maxLayers: Number.POSITIVE_INFINITY,
});
conformance('overlayfs on XFS', {
  module: overlayfs,
  directory: () => diskOf('xfs'),
  skip: cannotLoop('xfs'),
  maxTargetBytes: 1023,
  maxMinor: 262_143,
  renamesDirectories: false,
  keepsHardLinks: false,
});

describe('vfs', { skip: cannotLoop('btrfs') ?? cannotLoop('xfs') }, () => {
  for (const type of ['btrfs', 'xfs'] as const) {
    test(`shares the blocks of its copies on ${type}`, async () => {
      const directory = join(diskOf(type), 'reflink');
      assert.equal((await vfs.probe(directory)).features.reflink, true);
      const driver = await vfs.open(directory);
      await driver.prepare('s1', []);
      execFileSync('dd', ['if=/dev/urandom', `of=${directory}/s1/tree/data`, 'bs=1M', 'count=64', 'status=none']);
      execFileSync('sync', ['-f', directory]);
      const before = statfsSync(directory);
      await driver.prepare('s2', ['s1']);
      execFileSync('sync', ['-f', directory]);
      const taken = (before.bfree - statfsSync(directory).bfree) * before.bsize;
      assert.ok(taken < 8 * 1024 * 1024, `${taken} bytes`);
    });
  }
});

describe('overlayfs refuses', { skip: missing(root, kernelFs('overlay')) }, () => {
  test('another overlay as a place for upper directories', async () => {
    using directory = tempDir('nested');
    const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) => join(directory.path, name));
    for (const path of [lower!, upper!, work!, target!]) mkdirSync(path);
    const options = [`lowerdir+=${lower}`, `upperdir=${upper}`, `workdir=${work}`];
    performMounts([{ type: 'overlay', source: 'overlay', options }], target!);
    try {
      const probe = await overlayfs.probe(join(target!, 'store'));
      assert.equal(probe.available, false);
      assert.match(probe.reason, /lies on overlayfs/);
    } finally {
      detachBelow(directory.path);
    }
  });

  for (const [name, driver] of Object.entries({ overlayfs, erofs })) {
    test(`a file system that stores no attributes, as a place for ${name}`, async () => {
      using directory = tempDir('ramfs');
      const target = join(directory.path, 'ramfs');
      mkdirSync(target);
      execFileSync('mount', ['-t', 'ramfs', 'ramfs', target]);
      try {
        const probe = await driver.probe(join(target, 'store'));
        assert.equal(probe.available, false);
        assert.match(probe.reason, /no extended attributes/);
        assert.deepEqual(readdirSync(join(target, 'store')), []);
      } finally {
        execFileSync('umount', [target]);
      }
    });
  }

  test('a file system that is mounted read-only, as every driver does', { skip: cannotLoop('ext4') }, async () => {
    using disk = loopFs('ext4', 64);
    execFileSync('mount', ['-o', 'remount,ro', disk.path]);
    for (const driver of [overlayfs, erofs, vfs]) {
      const { available, reason } = await driver.probe(join(disk.path, 'store/layers'));
      assert.deepEqual([available, reason], [false, 'the store lies on a read-only file system'], driver.name);
    }
  });

  test('a file system that does not tell the types of directory entries', { skip: cannotLoop('ext4') }, async () => {
    using disk = loopFs('ext4', 64, ['-O', '^filetype']);
    const probe = await overlayfs.probe(disk.path);
    assert.equal(probe.available, false);
    assert.match(probe.reason, /types of directory entries/);
  });
});
