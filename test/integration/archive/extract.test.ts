import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { ErrorCode } from '../../../src/errors.ts';
import { mount, umount } from '../../../src/sys/mount-api.ts';
import { getXattr, setXattr } from '../../../src/sys/xattr.ts';
import { Extractor, type Spelling } from '../../support/extract-tar.ts';
import { requires, root } from '../../support/requires.ts';
import { type TarMember, tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const temp = tempDir('extract');
const extractor = new Extractor(temp.path);
after(async () => {
  await extractor[Symbol.asyncDispose]();
  temp[Symbol.dispose]();
});

const SPELLINGS: readonly Spelling[] = ['overlay', 'aufs', 'apply'];
const extract = (members: readonly TarMember[], spelling: Spelling = 'overlay', dir?: string) =>
  extractor.extract(tarBytes(members), spelling, dir);

async function refuses(code: ErrorCode, members: readonly TarMember[], spelling: Spelling = 'overlay', dir?: string) {
  await assert.rejects(extract(members, spelling, dir), { name: 'TslayerError', code });
}

describe('extraction keeps everything of an entry', () => {
  test('modes, owners, times, with setuid on what belongs to others', async (t) => {
    if (!requires(t, root)) return;
    const { at } = await extract([
      { path: 'root-suid', mode: 0o6755, data: 'x' },
      { path: 'user-suid', mode: 0o4711, uid: 1000, gid: 4294967294, data: 'x', pax: { gid: '4294967294' } },
      { path: 'dir', type: '5', mode: 0o3775, uid: 7, gid: 8, mtime: 1_600_000_000 },
      { path: 'dir/in', mode: 0o000, mtime: 5 },
      { path: 'sub', type: '5', mode: 0o2755, gid: 99 },
      { path: 'sub/sub', type: '5', mode: 0o755 },
      { path: 'old', pax: { mtime: '-1.25' } },
      { path: 'link', type: '2', link: 'x'.repeat(200), uid: 3, gid: 4, pax: { mtime: '12.000000345' } },
      { path: 'fifo', type: '6', mode: 0o4640, uid: 5 },
      { path: 'char', type: '3', device: [1, 3], mode: 0o666 },
      { path: 'block', type: '4', device: [259, 70000] },
    ]);
    const shown = (path: string) => {
      const { type, mode, uid, gid, mtime, device } = at(path)!;
      return `${type} ${mode.toString(8)} ${uid}:${gid} ${mtime} ${device}`.trim();
    };
    assert.equal(shown('root-suid'), 'file 6755 0:0 0.000000000');
    assert.equal(shown('user-suid'), 'file 4711 1000:4294967294 0.000000000');
    assert.equal(shown('dir'), 'directory 3775 7:8 1600000000.000000000');
    assert.equal(shown('dir/in'), 'file 0 0:0 5.000000000', 'not the group of its directory');
    assert.equal(shown('sub/sub'), 'directory 755 0:0 0.000000000', 'no setgid from above');
    assert.equal(shown('sub'), 'directory 2755 0:99 0.000000000');
    assert.equal(at('old')?.mtime, '-2.750000000');
    assert.equal(shown('link'), 'symlink 777 3:4 12.000000345');
    assert.equal(at('link')?.target, 'x'.repeat(200));
    assert.equal(shown('fifo'), 'fifo 4640 5:0 0.000000000');
    assert.equal(shown('char'), 'char 666 0:0 0.000000000 1:3');
    assert.equal(at('block')?.device, '259:70000');
  });

  test('binary xattrs, capabilities behind the data and the owner, ACLs that are not inherited', async (t) => {
    if (!requires(t, root)) return;
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    // user::rwx, user:1000:rwx, group::r-x, mask::rwx, other::r-x
    const acl = Buffer.from(
      '0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff',
      'hex',
    );
    const { at } = await extract([
      {
        path: 'd',
        type: '5',
        mode: 0o2755,
        gid: 6,
        xattrs: { 'system.posix_acl_default': acl, 'user.d': Buffer.from('1') },
      },
      { path: 'd/file', mode: 0o640 },
      { path: 'd/dir', type: '5', mode: 0o750 },
      {
        path: 'cap',
        uid: 1,
        data: 'binary',
        xattrs: { 'security.capability': capability, 'user.x': Buffer.from([0, 255]) },
      },
      { path: 'link', type: '2', link: 'x', xattrs: { 'trusted.link': Buffer.from('t') } },
    ]);
    assert.deepEqual(at('cap')?.xattrs, [`security.capability=${capability.toString('hex')}`, 'user.x=00ff']);
    assert.deepEqual(at('d')?.xattrs, [`system.posix_acl_default=${acl.toString('hex')}`, 'user.d=31']);
    assert.equal(at('d')?.mode, 0o2755);
    assert.deepEqual(at('d/file')?.xattrs, []);
    assert.equal(at('d/file')?.mode, 0o640);
    assert.deepEqual(at('d/dir')?.xattrs, []);
    assert.deepEqual(at('link')?.xattrs, ['trusted.link=74']);
  });

  test('what the file system cannot hold is told, not dropped in silence', async (t) => {
    if (!requires(t, root)) return;
    const { unpacked, at } = await extract([
      { path: 'a', type: '2', link: 'x', xattrs: { 'user.on-a-link': Buffer.from('1') } },
      { path: 'b', data: 'kept' },
    ]);
    assert.match(unpacked.result.warnings.join(), /"a": cannot set "user.on-a-link"/);
    assert.equal(at('b')?.size, 4);
  });

  test('hard links, to links and devices too, and the root told apart from no root', async (t) => {
    if (!requires(t, root)) return;
    const members: TarMember[] = [
      { path: 'a', data: 'one' },
      { path: 'b', type: '1', link: './a', mode: 0o777, uid: 9 },
      { path: 's', type: '2', link: 'a' },
      { path: 's2', type: '1', link: 's' },
      { path: 'a', type: '1', link: 'a' },
    ];
    const { at, unpacked } = await extract(members);
    assert.equal(at('b')?.linkedTo, 'a');
    assert.equal(at('b')?.uid, 0, "a link's header is not the file's");
    assert.equal(at('s2')?.linkedTo, 's');
    assert.equal(at('a')?.size, 3, 'a link to itself leaves it');
    assert.equal(unpacked.result.rootEntry, false);
    const rooted = await extract([{ path: './', type: '5', mode: 0o700, uid: 4, mtime: 77 }, ...members]);
    assert.equal(rooted.unpacked.result.rootEntry, true);
    assert.deepEqual([rooted.at('')?.mode, rooted.at('')?.uid, rooted.at('')?.mtime], [0o700, 4, '77.000000000']);
  });

  test('sparse files keep their holes', async (t) => {
    if (!requires(t, root)) return;
    const dir = extractor.newDirectory();
    const pax = { 'GNU.sparse.size': '1000000000', 'GNU.sparse.map': '4096,5,900000000,3' };
    const { at } = await extract([{ path: 'holes', data: 'hellobye', pax }], 'overlay', dir);
    assert.equal(at('holes')?.size, 1_000_000_000);
    assert.ok(statSync(join(dir, 'holes')).blocks < 100);
    const bytes = execFileSync('dd', [`if=${dir}/holes`, 'bs=1', 'skip=900000000', 'count=3', 'status=none']);
    assert.equal(bytes.toString(), 'bye');
  });

  test('names that are not UTF-8, and data in many chunks', async (t) => {
    if (!requires(t, root)) return;
    const data = Buffer.alloc(3_000_000, 'some data ');
    const { at } = await extract([{ path: Buffer.from([0xff, 0x0a, 0x80]), data }]);
    assert.equal(at('\xff\n\x80')?.size, data.length);
  });
});

for (const spelling of SPELLINGS) {
  describe(`layers as they come (${spelling})`, () => {
    test('implicit parents are plain directories of no time', async (t) => {
      if (!requires(t, root)) return;
      const { at } = await extract([{ path: 'a/b/c', data: 'x' }], spelling);
      for (const path of ['a', 'a/b']) {
        const { mode, uid, mtime } = at(path)!;
        assert.deepEqual([mode, uid, mtime], [0o755, 0, '0.000000000'], path);
      }
    });

    test('a parent named later gets what its entry says', async (t) => {
      if (!requires(t, root)) return;
      const { at } = await extract(
        [
          { path: 'a/b', data: 'x' },
          { path: 'a/', type: '5', mode: 0o700, uid: 3, mtime: 9 },
        ],
        spelling,
      );
      assert.deepEqual([at('a')?.mode, at('a')?.uid, at('a')?.mtime], [0o700, 3, '9.000000000']);
      assert.equal(at('a/b')?.size, 1);
    });

    test('a file replaces a directory, and a directory a file', async (t) => {
      if (!requires(t, root)) return;
      const { at, tree } = await extract(
        [
          { path: 'a/', type: '5', mtime: 5 },
          { path: 'a/b/c', data: 'x' },
          { path: 'a', data: 'now a file', mtime: 6 },
          { path: 'f', data: 'x' },
          { path: 'f/', type: '5', mtime: 7 },
          { path: 'f/in', data: 'y' },
        ],
        spelling,
      );
      assert.deepEqual([at('a')?.type, at('a')?.mtime], ['file', '6.000000000']);
      assert.deepEqual([at('f')?.type, at('f')?.mtime], ['directory', '7.000000000']);
      const opaque = spelling === 'aufs' ? ['f/.wh..wh.opaque'] : [];
      assert.deepEqual(
        tree.map(({ path }) => path),
        ['', 'a', 'f', ...opaque, 'f/in'],
      );
    });

    test('a directory that became a link does not get its old time through it', async (t) => {
      if (!requires(t, root)) return;
      const { at } = await extract(
        [
          { path: 'real/', type: '5', mtime: 10 },
          { path: 'real2/', type: '5', mtime: 11 },
          { path: 'real2', type: '2', link: 'real', mtime: 12 },
        ],
        spelling,
      );
      assert.deepEqual([at('real')?.mtime, at('real2')?.mtime], ['10.000000000', '12.000000000']);
    });

    test('a name that comes twice is the later one, and no longer the link it was', async (t) => {
      if (!requires(t, root)) return;
      const { at } = await extract(
        [
          { path: 'a', data: 'one' },
          { path: 'b', type: '1', link: 'a' },
          { path: 'b', data: 'other' },
          { path: 'd/', type: '5', mode: 0o700, xattrs: { 'user.gone': Buffer.from('1') } },
          { path: 'd/x' },
          { path: 'd/', type: '5', mode: 0o711, xattrs: { 'user.new': Buffer.from('1') } },
        ],
        spelling,
      );
      assert.deepEqual([at('a')?.size, at('b')?.size, at('b')?.linkedTo], [3, 5, 'b']);
      assert.equal(at('d/x')?.type, 'file');
      assert.deepEqual([at('d')?.mode, at('d')?.xattrs], [0o711, ['user.new=31']]);
    });

    test('parents that are links are followed inside the root, dangling ones made', async (t) => {
      if (!requires(t, root)) return;
      const { at } = await extract(
        [
          { path: 'lib', type: '2', link: 'usr/lib' },
          { path: 'lib/a', data: 'a' },
          { path: 'abs', type: '2', link: '/../../usr/./share//' },
          { path: 'abs/b', data: 'b' },
          { path: 'usr/loop', type: '2', link: '../lib' },
          { path: 'usr/loop/c', data: 'c' },
        ],
        spelling,
      );
      for (const path of ['usr/lib/a', 'usr/share/b', 'usr/lib/c']) assert.equal(at(path)?.type, 'file', path);
      assert.equal(at('lib')?.type, 'symlink');
    });

    test('a parent that is a file, and links in a circle, are refused', async (t) => {
      if (!requires(t, root)) return;
      await refuses('MALFORMED', [{ path: 'a', data: 'x' }, { path: 'a/b' }], spelling);
      await refuses(
        'UNSAFE_LAYER',
        [{ path: 'a', type: '2', link: 'b' }, { path: 'b', type: '2', link: 'a' }, { path: 'a/b' }],
        spelling,
      );
    });

    test('hard links to what is not there, or a directory, are refused', async (t) => {
      if (!requires(t, root)) return;
      await refuses('MALFORMED', [{ path: 'a', type: '1', link: 'nothing' }], spelling);
      await refuses(
        'MALFORMED',
        [
          { path: 'd', type: '5' },
          { path: 'a', type: '1', link: 'd' },
        ],
        spelling,
      );
    });
  });
}

describe('attacks', () => {
  const outside = join(temp.path, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'untouched', { mode: 0o600 });

  for (const spelling of SPELLINGS) {
    test(`a symbolic link out of the layer, then a file through it (CVE-2021-29136), ${spelling}`, async (t) => {
      if (!requires(t, root)) return;
      const dir = extractor.newDirectory();
      const { at } = await extract(
        [
          { path: 'out', type: '2', link: outside },
          { path: 'out/planted', data: 'x' },
          { path: 'up', type: '2', link: '../../../../../../../..' },
          { path: `up${outside}/planted`, data: 'x' },
        ],
        spelling,
        dir,
      );
      assert.deepEqual(existsSync(join(outside, 'planted')), false);
      assert.equal(at(`${outside.slice(1)}/planted`)?.type, 'file', 'made inside the layer instead');
    });

    test(`chmod and chown through a link (CVE-2021-32760), ${spelling}`, async (t) => {
      if (!requires(t, root)) return;
      const before = statSync(join(outside, 'secret'));
      await extract(
        [
          { path: 'a', type: '2', link: join(outside, 'secret'), mode: 0o777, uid: 1000 },
          {
            path: 'a',
            type: '2',
            link: join(outside, 'secret'),
            mode: 0o777,
            uid: 1001,
            xattrs: { 'trusted.x': Buffer.from('1') },
          },
          { path: 'd', type: '2', link: outside },
          { path: 'd', type: '5', mode: 0o777, uid: 1000, mtime: 1 },
        ],
        spelling,
      );
      const now = statSync(join(outside, 'secret'));
      assert.deepEqual([now.mode, now.uid, now.mtimeMs], [before.mode, before.uid, before.mtimeMs]);
      assert.equal(statSync(outside).uid, 0);
    });

    test(`a hard link to a file outside (GHSA-vj76, CVE-2026-26960), ${spelling}`, async (t) => {
      if (!requires(t, root)) return;
      const target = join(outside, 'secret');
      await refuses('MALFORMED', [{ path: 'a', type: '1', link: target }], spelling);
      await refuses(
        'MALFORMED',
        [
          { path: 'l', type: '2', link: outside },
          { path: 'a', type: '1', link: 'l/secret' },
        ],
        spelling,
      );
      await refuses(
        'MALFORMED',
        [
          { path: 'l', type: '2', link: target },
          { path: 'a', type: '1', link: 'l/x' },
        ],
        spelling,
      );
      const dir = extractor.newDirectory();
      await extract(
        [
          { path: 'l', type: '2', link: target },
          { path: 'a', type: '1', link: 'l' },
          { path: 'a', data: 'new' },
        ],
        spelling,
        dir,
      );
      assert.equal(readFileSync(target, 'utf8'), 'untouched');
    });

    test(`a whiteout through a link deletes nothing outside, ${spelling}`, async (t) => {
      if (!requires(t, root)) return;
      await extract(
        [{ path: 'out', type: '2', link: outside }, { path: 'out/.wh.secret' }, { path: 'out/.wh..wh..opq' }].slice(
          0,
          2,
        ),
        spelling,
      );
      assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'untouched');
    });

    test(`an existing link in the directory itself leads nowhere, ${spelling}`, async (t) => {
      if (!requires(t, root)) return;
      const dir = extractor.newDirectory();
      symlinkSync(outside, join(dir, 'lower'));
      await extract([{ path: 'lower/secret', data: 'overwritten' }], spelling, dir);
      assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'untouched');
    });
  }

  test('the thread is free again for the next layer, after a failed one too', async (t) => {
    if (!requires(t, root)) return;
    await refuses('MALFORMED', [{ path: 'a', data: 'x' }, { path: 'a/b' }]);
    const dir = extractor.newDirectory();
    await extract([{ path: 'fine', data: 'x' }], 'overlay', dir);
    assert.ok(existsSync(join(dir, 'fine')));
    assert.equal(process.umask(), 0o022);
  });
});

test('a full disk is told as such, for data as for names', async (t) => {
  if (!requires(t, root)) return;
  const dir = extractor.newDirectory();
  mount('tmpfs', dir, 'tmpfs', 0, 'size=256k,nr_inodes=20');
  try {
    await refuses('NO_SPACE', [{ path: 'large', data: Buffer.alloc(400_000, 'x') }], 'overlay', dir);
    const names = Array.from({ length: 30 }, (_, i) => ({ path: `d${i}/`, type: '5' }));
    await refuses('NO_SPACE', names, 'overlay', dir);
  } finally {
    umount(dir);
  }
});

describe('whiteouts for overlayfs', () => {
  const isWhiteout = (dir: string, path: string) => {
    const stat = lstatSync(join(dir, path));
    return stat.isCharacterDevice() && stat.rdev === 0;
  };
  const isOpaque = (dir: string, path: string) =>
    getXattr(join(dir, path), 'trusted.overlay.opaque')?.toString() === 'y';

  test('are devices 0:0 and opaque directories, in whatever order', async (t) => {
    if (!requires(t, root)) return;
    const dir = extractor.newDirectory();
    await extract(
      [
        { path: '.wh.gone' },
        { path: 'new/parents/.wh.gone' },
        { path: 'd/late', data: 'x' },
        { path: 'd/.wh..wh..opq' },
        { path: 'e/.wh..wh..opq' },
        { path: 'e/early', data: 'x' },
      ],
      'overlay',
      dir,
    );
    assert.ok(isWhiteout(dir, 'gone') && isWhiteout(dir, 'new/parents/gone'));
    assert.ok(isOpaque(dir, 'd') && isOpaque(dir, 'e'));
    assert.deepEqual(
      getXattr(join(dir, 'new/parents'), 'trusted.overlay.origin'),
      Buffer.alloc(0),
      'filtered in readdir',
    );
  });

  test('beside the same name in one layer: the name wins, a directory becomes opaque', async (t) => {
    if (!requires(t, root)) return;
    for (const flip of [false, true]) {
      const pair = (name: TarMember, whiteout: string) =>
        flip ? [name, { path: whiteout }] : [{ path: whiteout }, name];
      const dir = extractor.newDirectory();
      await extract(
        [
          ...pair({ path: 'f', data: 'x' }, '.wh.f'),
          ...pair({ path: 'd/', type: '5' }, '.wh.d'),
          ...pair({ path: 'i/in', data: 'x' }, '.wh.i'),
          ...pair({ path: 'l', type: '2', link: 'f' }, '.wh.l'),
        ],
        'overlay',
        dir,
      );
      assert.ok(lstatSync(join(dir, 'f')).isFile() && lstatSync(join(dir, 'l')).isSymbolicLink());
      assert.ok(isOpaque(dir, 'd') && isOpaque(dir, 'i'));
    }
  });

  test('that hide nothing, in an opaque directory, are dropped', async (t) => {
    if (!requires(t, root)) return;
    const dir = extractor.newDirectory();
    await extract(
      [{ path: 'd/.wh.a' }, { path: 'd/sub/.wh.b' }, { path: 'd/.wh..wh..opq' }, { path: 'd/sub/.wh.c' }],
      'overlay',
      dir,
    );
    assert.deepEqual(
      existsSync(join(dir, 'd/sub')) && !existsSync(join(dir, 'd/a')) && !existsSync(join(dir, 'd/sub/b')),
      true,
    );
    assert.throws(() => lstatSync(join(dir, 'd/sub/c')));
  });

  test('an opaque root is marked for the driver', async (t) => {
    if (!requires(t, root)) return;
    const dir = extractor.newDirectory();
    await extract([{ path: '.wh..wh..opq' }, { path: 'a', data: 'x' }], 'overlay', dir);
    assert.ok(isOpaque(dir, '.'));
  });

  test('a hard link to a whiteout, and an opaque file, are refused', async (t) => {
    if (!requires(t, root)) return;
    await refuses('MALFORMED', [{ path: '.wh.a' }, { path: 'b', type: '1', link: 'a' }]);
    await refuses('MALFORMED', [{ path: 'a', data: 'x' }, { path: 'a/.wh..wh..opq' }]);
  });
});

describe('whiteouts for AUFS', () => {
  test('are files, and give way to the name they hide', async (t) => {
    if (!requires(t, root)) return;
    const { tree } = await extract(
      [
        { path: '.wh.gone' },
        { path: '.wh.f' },
        { path: 'f', data: 'x' },
        { path: 'g', data: 'x' },
        { path: '.wh.g' },
        { path: '.wh.d' },
        { path: 'd/', type: '5' },
        { path: 'o/.wh.x' },
        { path: 'o/.wh..wh..opq' },
      ],
      'aufs',
    );
    assert.deepEqual(
      tree.map(({ path }) => path),
      ['', '.wh.gone', 'd', 'd/.wh..wh.opaque', 'f', 'g', 'o', 'o/.wh..wh.opaque'],
    );
  });
});

describe('whiteouts applied to a copy of the lower layers', () => {
  function lower(): string {
    const dir = extractor.newDirectory();
    const script = [
      'mkdir -p d/sub e/sub/deep keep; echo 1 > d/a; echo 1 > d/sub/b; echo 1 > e/sub/c; echo 1 > e/sub/deep/x; echo 1 > keep/k',
      'ln -s d link; echo file > f; ln f keep/hard; chmod 750 keep; chown 12:13 keep',
      'touch -d @1000000 d/sub d e/sub/deep e/sub e keep',
    ];
    execFileSync('sh', ['-ec', script.join('\n')], { cwd: dir });
    return dir;
  }
  const paths = (tree: readonly { path: string }[], under: string) =>
    tree.map(({ path }) => path).filter((path) => path === under || path.startsWith(`${under}/`));

  test('delete what lies below, and never what the layer itself brings', async (t) => {
    if (!requires(t, root)) return;
    for (const whiteoutFirst of [true, false]) {
      const members: TarMember[] = [
        { path: 'e/sub/new', data: 'new' },
        { path: 'f', data: 'replaced' },
      ];
      const whiteouts: TarMember[] = [
        { path: '.wh.d' },
        { path: '.wh.e' },
        { path: '.wh.f' },
        { path: 'no/such/.wh.x' },
      ];
      const { tree, at } = await extract(
        whiteoutFirst ? [...whiteouts, ...members] : [...members, ...whiteouts],
        'apply',
        lower(),
      );
      assert.deepEqual(paths(tree, 'd'), []);
      assert.deepEqual(paths(tree, 'e'), ['e', 'e/sub', 'e/sub/new']);
      assert.equal(at('f')?.size, 8);
      assert.equal(at('keep/hard')?.size, 5, 'the other name of the replaced file stays as it was');
      assert.equal(at('no/such')?.mode, 0o755, 'it implies the directories that lead to it, as in other drivers');
    }
  });

  test('an opaque directory loses what lies below, whenever it is said', async (t) => {
    if (!requires(t, root)) return;
    const { tree } = await extract(
      [{ path: 'e/sub/new', data: 'x' }, { path: 'e/.wh..wh..opq' }, { path: 'e/more', data: 'x' }],
      'apply',
      lower(),
    );
    assert.deepEqual(paths(tree, 'e'), ['e', 'e/more', 'e/sub', 'e/sub/new']);
    const rooted = await extract([{ path: 'only', data: 'x' }, { path: '.wh..wh..opq' }], 'apply', lower());
    assert.deepEqual(
      rooted.tree.map(({ path }) => path),
      ['', 'only'],
    );
  });

  test('through another name that the layer itself gives a directory', async (t) => {
    if (!requires(t, root)) return;
    const { at } = await extract(
      [
        { path: 'other', type: '2', link: 'd' },
        { path: 'other/new', data: 'x' },
        { path: 'd/.wh.new' },
        { path: 'other/.wh.a' },
      ],
      'apply',
      lower(),
    );
    assert.equal(at('d/new')?.type, 'file', 'made by this layer, under whatever name');
    assert.equal(at('d/a'), undefined);
  });

  test('a path below a link or a file of the lower layers makes a directory in its place', async (t) => {
    if (!requires(t, root)) return;
    const { tree, at } = await extract(
      [{ path: 'link/new', data: 'x' }, { path: 'f/new', data: 'x' }, { path: 'keep/hard/.wh.x' }],
      'apply',
      lower(),
    );
    assert.deepEqual(paths(tree, 'link'), ['link', 'link/new']);
    assert.deepEqual(paths(tree, 'f'), ['f', 'f/new']);
    assert.equal(at('keep/hard')?.type, 'directory');
    assert.equal(at('d/new'), undefined, 'nothing went through the link');
    assert.equal(at('link')?.mode, 0o755);
  });

  test('directories that the layer does not name keep their times, modes and owners', async (t) => {
    if (!requires(t, root)) return;
    const { at } = await extract(
      [{ path: 'keep/new', data: 'x' }, { path: 'd/.wh.a' }, { path: 'e/sub/deep/y', data: 'x' }],
      'apply',
      lower(),
    );
    assert.deepEqual([at('keep')?.mode, at('keep')?.uid, at('keep')?.mtime], [0o750, 12, '1000000.000000000']);
    for (const path of ['d', 'e/sub/deep', 'e/sub', 'e']) assert.equal(at(path)?.mtime, '1000000.000000000', path);
  });

  test("a lower directory's setgid bit and default ACL do not reach the layer's files", async (t) => {
    if (!requires(t, root)) return;
    const dir = lower();
    const acl = Buffer.from(
      '0200000001000700ffffffff02000700e803000004000500ffffffff10000700ffffffff20000500ffffffff',
      'hex',
    );
    execFileSync('chmod', ['g+s', join(dir, 'keep')]);
    setXattr(join(dir, 'keep'), 'system.posix_acl_default', acl);
    const { at } = await extract(
      [
        { path: 'keep/f', mode: 0o600 },
        { path: 'keep/d/', type: '5' },
        { path: 'keep/l', type: '2', link: 'x' },
      ],
      'apply',
      dir,
    );
    for (const path of ['keep/f', 'keep/d', 'keep/l'])
      assert.deepEqual([at(path)?.gid, at(path)?.xattrs], [0, []], path);
    assert.equal(at('keep/d')?.mode, 0o755);
    assert.deepEqual(at('keep')?.xattrs, [`system.posix_acl_default=${acl.toString('hex')}`]);
    assert.equal(at('keep')?.mode, 0o2750);
  });

  test('a directory entry over a lower directory keeps its content and takes the attributes', async (t) => {
    if (!requires(t, root)) return;
    const dir = lower();
    setXattr(join(dir, 'd'), 'user.old', Buffer.from('1'));
    const { at } = await extract(
      [
        { path: 'd/', type: '5', mode: 0o711, uid: 5, mtime: 44 },
        { path: 'link/', type: '5' },
      ],
      'apply',
      dir,
    );
    assert.deepEqual([at('d')?.mode, at('d')?.uid, at('d')?.mtime, at('d')?.xattrs], [0o711, 5, '44.000000000', []]);
    assert.equal(at('d/a')?.type, 'file');
    assert.equal(at('link')?.type, 'directory', 'a directory replaces a link, as it does for union file systems');
    assert.equal(readlinkSync('/proc/self/cwd'), process.cwd());
  });
});
