/** Writing through a mount: the parent never changes, and the snapshot behaves as any file system does. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { mknod, S_IFCHR, S_IFIFO, S_IFSOCK, setTimes } from '../../src/sys/files.ts';
import { getXattr, removeXattr, setXattr } from '../../src/sys/xattr.ts';
import { dir, file, hardlink, symlink } from './items.ts';
import { treeBelow } from './kit.ts';
import type { Part } from './suite.ts';

const BASE = [
  dir('d'),
  file('d/a', 'a', { mode: 0o640, uid: 3, xattrs: { 'user.kept': 'yes' } }),
  file('d/b', 'b'),
  dir('d/sub'),
  file('d/sub/x', 'x'),
  file('f', 'f', { mode: 0o4755, xattrs: { 'trusted.kept': 'yes' } }),
  symlink('l', 'd/a'),
];

export const copyOnWrite: Part = {
  async 'writes of every kind leave the parent as it was'(kit) {
    const stack = await kit.stack(BASE);
    const before = await kit.view(stack);
    const { path } = await kit.work(stack);
    appendFileSync(join(path, 'd/a'), '+');
    truncateSync(join(path, 'd/b'), 0);
    rmSync(join(path, 'd/sub'), { recursive: true });
    chmodSync(join(path, 'f'), 0o600);
    chownSync(path, 1, 1);
    mkdirSync(join(path, 'new'));
    renameSync(join(path, 'l'), join(path, 'new/l'));
    assert.deepEqual(await kit.view(stack), before);
  },

  async 'two snapshots of one parent do not see each other'(kit) {
    const stack = await kit.stack(BASE);
    const [one, two] = [await kit.work(stack), await kit.work(stack)];
    writeFileSync(join(one.path, 'mine'), '1');
    writeFileSync(join(one.path, 'f'), 'changed');
    assert.equal(existsSync(join(two.path, 'mine')), false);
    assert.equal(readFileSync(join(two.path, 'f'), 'utf8'), 'f');
  },

  async 'a changed file keeps what was not changed of it'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    appendFileSync(join(path, 'd/a'), '+');
    const { mode, uid } = statSync(join(path, 'd/a'));
    assert.deepEqual([mode & 0o7777, uid, readFileSync(join(path, 'd/a'), 'utf8')], [0o640, 3, 'a+']);
    assert.equal(getXattr(join(path, 'd/a'), 'user.kept')?.toString(), 'yes');
    chownSync(join(path, 'f'), 9, 9);
    assert.equal(getXattr(join(path, 'f'), 'trusted.kept')?.toString(), 'yes');
    assert.equal(readFileSync(join(path, 'f'), 'utf8'), 'f');
  },

  async 'what was deleted is gone, and what is made anew in its place is new'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    unlinkSync(join(path, 'f'));
    assert.throws(() => lstatSync(join(path, 'f')), { code: 'ENOENT' });
    mkdirSync(join(path, 'f'));
    assert.deepEqual(readdirSync(join(path, 'f')), []);
    rmSync(join(path, 'd'), { recursive: true });
    assert.deepEqual(readdirSync(path).sort(), ['f', 'l']);
    mkdirSync(join(path, 'd'));
    mkdirSync(join(path, 'd/sub'));
    assert.deepEqual(readdirSync(join(path, 'd')), ['sub']);
    assert.deepEqual(readdirSync(join(path, 'd/sub')), []);
    rmdirSync(join(path, 'd/sub'));
    writeFileSync(join(path, 'd/a'), 'other');
    assert.equal(getXattr(join(path, 'd/a'), 'user.kept'), undefined);
  },

  async 'a directory that is not empty cannot be removed'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    assert.throws(() => rmdirSync(join(path, 'd')), { code: 'ENOTEMPTY' });
    assert.throws(() => unlinkSync(join(path, 'd')), { code: /EISDIR|EPERM/ });
    assert.throws(() => rmdirSync(join(path, 'f')), { code: 'ENOTDIR' });
  },

  async 'files of the parent can be renamed, over others too'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    renameSync(join(path, 'd/a'), join(path, 'moved'));
    renameSync(join(path, 'd/b'), join(path, 'f'));
    assert.deepEqual(readdirSync(join(path, 'd')), ['sub']);
    assert.equal(readFileSync(join(path, 'f'), 'utf8'), 'b');
    assert.equal(getXattr(join(path, 'moved'), 'user.kept')?.toString(), 'yes');
  },

  async 'directories of the parent are renamed, or it says EXDEV and mv copies them'(kit, _t, setup) {
    const { path } = await kit.work(await kit.stack(BASE));
    const rename = (): void => renameSync(join(path, 'd'), join(path, 'renamed'));
    if (setup.renamesDirectories ?? true) rename();
    else {
      assert.throws(rename, { code: 'EXDEV' });
      assert.equal(spawnSync('mv', [join(path, 'd'), join(path, 'renamed')]).status, 0);
    }
    assert.equal(existsSync(join(path, 'd')), false);
    assert.deepEqual(readdirSync(join(path, 'renamed')).sort(), ['a', 'b', 'sub']);
    assert.equal(readFileSync(join(path, 'renamed/sub/x'), 'utf8'), 'x');
    mkdirSync(join(path, 'own'));
    renameSync(join(path, 'own'), join(path, 'd'));
    assert.deepEqual(readdirSync(join(path, 'd')), []);
  },

  async 'hard links can be made to files of the parent'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    linkSync(join(path, 'd/a'), join(path, 'second'));
    appendFileSync(join(path, 'second'), '+');
    assert.equal(readFileSync(join(path, 'd/a'), 'utf8'), 'a+');
    assert.equal(statSync(join(path, 'd/a')).ino, statSync(join(path, 'second')).ino);
    unlinkSync(join(path, 'd/a'));
    assert.equal(readFileSync(join(path, 'second'), 'utf8'), 'a+');
  },

  async 'hard links of the parent stay linked when written to, or are split as documented'(kit, _t, setup) {
    const { path } = await kit.work(await kit.stack([file('a', 'x'), hardlink('b', 'a')]));
    appendFileSync(join(path, 'a'), '+');
    assert.equal(readFileSync(join(path, 'b'), 'utf8'), (setup.keepsHardLinks ?? true) ? 'x+' : 'x');
  },

  async 'devices, fifos, sockets and links can be made'(kit) {
    const { path } = await kit.work(await kit.stack(BASE));
    mknod(join(path, 'null'), S_IFCHR | 0o666, 0x103n);
    mknod(join(path, 'fifo'), S_IFIFO | 0o600);
    mknod(join(path, 'socket'), S_IFSOCK | 0o600);
    symlinkSync('nowhere', join(path, 'link'));
    assert.ok(lstatSync(join(path, 'null')).isCharacterDevice());
    assert.ok(lstatSync(join(path, 'socket')).isSocket());
    assert.equal(statSync(join(path, 'null')).rdev, 0x103);
  },

  async 'times and attributes can be set on what the parent has'(kit, _t, setup) {
    const { path } = await kit.work(await kit.stack(BASE));
    utimesSync(join(path, 'd'), 1000, 1000);
    utimesSync(join(path, 'f'), 1000, 1000);
    assert.deepEqual([statSync(join(path, 'd')).mtimeMs, statSync(join(path, 'f')).mtimeMs], [1e6, 1e6]);
    setTimes(join(path, 'l'), 1000, 5);
    const nanoseconds = (setup.keepsNanoseconds ?? true) ? 5n : 0n;
    assert.equal(lstatSync(join(path, 'l'), { bigint: true }).mtimeNs, 1_000_000_000_000n + nanoseconds);
    setXattr(join(path, 'd/a'), 'user.kept', Buffer.from('no'));
    removeXattr(join(path, 'f'), 'trusted.kept');
    assert.equal(statSync(join(path, 'd')).mtimeMs === 1e6, setup.keepsDirectoryTimes ?? true);
    assert.equal(statSync(join(path, 'f')).mtimeMs, 1e6);
    assert.equal(getXattr(join(path, 'd/a'), 'user.kept')?.toString(), 'no');
    const removed = getXattr(join(path, 'f'), 'trusted.kept');
    assert.equal(removed?.toString(), (setup.removesXattrs ?? true) ? undefined : '');
  },

  async 'a snapshot mounted again is as it was left'(kit) {
    const stack = await kit.stack(BASE);
    const { id, path } = await kit.work(stack);
    rmSync(join(path, 'd/sub'), { recursive: true });
    writeFileSync(join(path, 'd/a'), 'changed');
    linkSync(join(path, 'd/a'), join(path, 'linked'));
    const before = treeBelow(path);
    kit.unmount(path);
    await kit.reopen();
    assert.deepEqual(treeBelow(await kit.mount(id, stack)), before);
  },

  async 'a read-only mount of a snapshot or a stack refuses every write'(kit) {
    const stack = await kit.stack(BASE);
    const { id, path } = await kit.work(stack);
    writeFileSync(join(path, 'written'), 'x');
    kit.unmount(path);
    for (const target of [await kit.mount(id, stack, { readOnly: true }), await kit.mount(undefined, stack)]) {
      assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
      assert.throws(() => chmodSync(join(target, 'f'), 0), { code: 'EROFS' });
      assert.throws(() => unlinkSync(join(target, 'f')), { code: 'EROFS' });
      assert.equal(readFileSync(join(target, 'd/a'), 'utf8'), 'a');
    }
  },
};
