/** What files carry: nothing may be lost between a tar and its mount, nor be added. */
import assert from 'node:assert/strict';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getXattr, listXattrs } from '../../src/sys/xattr.ts';
import type { LayerItem } from './encode.ts';
import { block, char, dir, fifo, file, hardlink, symlink } from './items.ts';
import { type Kit, treeBelow } from './kit.ts';
import type { Part } from './suite.ts';
import { compareTrees, type TreeRecord } from './tree.ts';

async function recordsOf(kit: Kit, items: readonly LayerItem[]): Promise<Map<string, TreeRecord>> {
  const records = await kit.view(await kit.stack(items));
  return new Map(records.map((record) => [record.path, record]));
}

/** cap_net_raw,cap_net_admin+ep, version 2, as setcap(8) writes it. */
const CAPABILITY = Buffer.from('0100000200300000000000000000000000000000', 'hex');
/** An ACL with a named user: version 2, as setfacl(1) writes it. */
const ACL = Buffer.from(
  '02000000' + '01000600ffffffff' + '02000700e8030000' + '04000400ffffffff' + '10000700ffffffff' + '20000400ffffffff',
  'hex',
);

export const metadata: Part = {
  async 'permissions with setuid, setgid and sticky'(kit) {
    const modes = [0o4755, 0o2755, 0o1777, 0o7777, 0o000, 0o640];
    const items = modes.flatMap((mode) => [
      file(`f${mode}`, 'x', { mode, uid: 7, gid: 8 }),
      dir(`d${mode}`, { mode, gid: 9 }),
    ]);
    const found = await recordsOf(kit, items);
    for (const mode of modes) {
      assert.equal(found.get(`f${mode}`)?.mode, mode);
      assert.equal(found.get(`d${mode}`)?.mode, mode);
    }
  },

  async 'owners of 32 bits'(kit) {
    const ids = [0, 1, 65_534, 65_536, 2_097_152, 4_294_967_294];
    const found = await recordsOf(
      kit,
      ids.map((id) => file(`${id}`, '', { uid: id, gid: id })),
    );
    for (const id of ids) assert.deepEqual([found.get(`${id}`)?.uid, found.get(`${id}`)?.gid], [id, id]);
  },

  async 'times to the nanosecond, before 1970 and after 2038, of links too'(kit) {
    const times = [-1, 0, 2_147_483_648, 4_294_967_296].map((seconds) => ({ seconds, nanoseconds: 999_999_999 }));
    const items = times.flatMap((mtime, at) => [
      file(`f${at}`, 'x', { mtime }),
      dir(`d${at}`, { mtime }),
      file(`d${at}/inside`),
      symlink(`l${at}`, 'target', { mtime }),
    ]);
    const found = await recordsOf(kit, items);
    for (const [at, { seconds }] of times.entries()) {
      for (const kind of ['f', 'd', 'l']) assert.equal(found.get(`${kind}${at}`)?.mtime, `${seconds}.999999999`, kind);
    }
  },

  async 'attributes by their bytes: capabilities, ACLs, empty and binary values'(kit) {
    const binary = Buffer.from([0, 255, 10, 61, 0]);
    const xattrs = { 'user.binary': binary, 'user.empty': '', 'trusted.mine': 'x', 'user.a=b': 'equals' };
    const found = await recordsOf(kit, [
      file('capable', 'x', { xattrs: { 'security.capability': CAPABILITY } }),
      file('acl', 'x', { mode: 0o674, xattrs: { 'system.posix_acl_access': ACL } }),
      dir('dir', { xattrs }),
      file('file', 'x', { xattrs, mtime: { seconds: 5, nanoseconds: 0 } }),
      symlink('link', 'x', { xattrs: { 'trusted.link': 'l' } }),
    ]);
    assert.deepEqual(found.get('capable')?.xattrs, [`security.capability=${CAPABILITY.toString('hex')}`]);
    assert.deepEqual(found.get('acl')?.xattrs, [`system.posix_acl_access=${ACL.toString('hex')}`]);
    const expected = ['trusted.mine=78', 'user.a=b=657175616c73', 'user.binary=00ff0a3d00', 'user.empty='];
    assert.deepEqual(found.get('dir')?.xattrs, expected);
    assert.deepEqual(found.get('file')?.xattrs, expected);
    assert.equal(found.get('file')?.mtime, '5.000000000');
    assert.deepEqual(found.get('link')?.xattrs, ['trusted.link=6c']);
  },

  async 'default ACLs are kept, inherited by what is made in a snapshot, and told with it'(kit) {
    const shared = dir('shared', { xattrs: { 'system.posix_acl_default': ACL } });
    const stack = await kit.stack([shared, dir('plain')]);
    const { id, path } = await kit.work(stack);
    assert.deepEqual(getXattr(join(path, 'shared'), 'system.posix_acl_default'), ACL);
    writeFileSync(join(path, 'shared/file'), 'x');
    mkdirSync(join(path, 'shared/dir'));
    writeFileSync(join(path, 'plain/file'), 'x');
    assert.notEqual(getXattr(join(path, 'shared/file'), 'system.posix_acl_access'), undefined);
    assert.equal(getXattr(join(path, 'plain/file'), 'system.posix_acl_access'), undefined);
    const committed = await kit.layer(kit.driver.changes(id, stack), stack);
    assert.deepEqual(compareTrees(treeBelow(path), await kit.view(committed)), []);
  },

  async "the union's own attributes are never taken from an image nor shown"(kit) {
    const reserved = {
      'trusted.overlay.opaque': 'y',
      'trusted.overlay.redirect': '/etc',
      'user.overlay.whiteout': 'y',
    };
    const base = await kit.stack([dir('d'), file('d/below'), dir('etc'), file('etc/shadow')]);
    const stack = await kit.layer([dir('d', { xattrs: reserved }), file('d/f', '', { xattrs: reserved })], base);
    const found = new Map((await kit.view(stack)).map((record) => [record.path, record]));
    assert.ok(found.has('d/below'), 'the injected mark hides nothing');
    assert.equal(found.has('d/shadow'), false, 'the injected pointer leads nowhere');
    assert.deepEqual(found.get('d')?.xattrs, []);
    assert.deepEqual(found.get('d/f')?.xattrs, []);
  },

  async 'devices, fifos and their numbers'(kit, _t, { maxMinor = 1_048_575 }) {
    const found = await recordsOf(kit, [
      char('null', 1, 3, { mode: 0o666 }),
      char('high', 511, maxMinor),
      block('sda', 8, 0, { mode: 0o660, gid: 6 }),
      fifo('pipe', { mode: 0o622 }),
    ]);
    assert.deepEqual(
      [found.get('null')?.type, found.get('null')?.device, found.get('null')?.mode],
      ['char', '1:3', 0o666],
    );
    assert.equal(found.get('high')?.device, `511:${maxMinor}`);
    assert.deepEqual([found.get('sda')?.type, found.get('sda')?.device, found.get('sda')?.gid], ['block', '8:0', 6]);
    assert.deepEqual([found.get('pipe')?.type, found.get('pipe')?.mode], ['fifo', 0o622]);
  },

  async 'a device 0:0 from a layer is no whiteout'(kit) {
    const base = await kit.stack([file('victim', 'x')]);
    await assert.rejects(kit.layer([char('victim', 0, 0)], base), { code: 'UNSAFE_LAYER' });
    assert.equal((await kit.view(base)).length, 2);
  },

  async 'hard links are one file'(kit) {
    const found = await recordsOf(kit, [file('a', 'x'), dir('d'), hardlink('d/b', 'a'), hardlink('c', 'd/b')]);
    assert.deepEqual(
      ['a', 'c', 'd/b'].map((path) => found.get(path)?.linkedTo),
      ['a', 'a', 'a'],
    );
  },

  async 'a hard link to a symbolic link links the link'(kit) {
    const found = await recordsOf(kit, [symlink('l', '/etc/passwd'), hardlink('m', 'l')]);
    assert.deepEqual(
      [found.get('m')?.type, found.get('m')?.target, found.get('m')?.linkedTo],
      ['symlink', '/etc/passwd', 'l'],
    );
  },

  async 'the root directory has what the topmost layer says of it'(kit) {
    const root = dir('', { mode: 0o711, uid: 5, gid: 6, xattrs: { 'user.root': 'yes' } });
    const stack = await kit.stack([dir('', { mode: 0o700 }), file('a')], [root, file('b')], [file('c')]);
    const { path } = await kit.work(stack);
    const { mode, uid, gid } = statSync(path);
    assert.deepEqual([mode & 0o7777, uid, gid], [0o711, 5, 6]);
    assert.deepEqual(
      listXattrs(path)
        .map(String)
        .filter((name) => name === 'user.root'),
      ['user.root'],
    );
    assert.equal(getXattr(path, 'user.root')?.toString(), 'yes');
  },
};
