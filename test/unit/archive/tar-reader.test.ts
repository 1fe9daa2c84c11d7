import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { LayerLimits } from '../../../src/archive/sink.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { readOne, readTar } from '../../support/recording-sink.ts';
import { base256, END, gnuLong, headerBlock, member, paxHeader, paxRecord, tar } from '../../support/tar-blocks.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function refuses(code: ErrorCode, bytes: Uint8Array, limits: Partial<LayerLimits> = {}): void {
  assert.throws(() => readTar(bytes, limits), { name: 'TslayerError', code });
}

describe('headers of every dialect', () => {
  test('ustar joins prefix and name', () => {
    const { entry, data } = readOne(tar(member({ prefix: 'usr/share', name: 'doc', mode: 0o4755 }, 'hello')));
    assert.equal(text(entry.path), 'usr/share/doc');
    assert.equal(entry.mode, 0o4755);
    assert.equal(entry.size, 5);
    assert.equal(entry.dataOffset, 512);
    assert.equal(text(data), 'hello');
  });

  test('names that fill their field need no NUL', () => {
    const { entry } = readOne(
      tar(member({ prefix: 'p'.repeat(155), name: 'n'.repeat(100), type: '2', link: 'l'.repeat(100) })),
    );
    assert.equal(text(entry.path), `${'p'.repeat(155)}/${'n'.repeat(100)}`);
    assert.equal(text(entry.linkname), 'l'.repeat(100));
  });

  test('GNU keeps times where ustar has its prefix', () => {
    const { entry } = readOne(tar(member({ dialect: 'gnu', name: 'a', patch: { 345: '14631466146' } })));
    assert.equal(text(entry.path), 'a');
  });

  test('star has a shorter prefix, and times behind it', () => {
    const patch = { 345: Buffer.from('dir'), 476: '14631466146 ', 488: '14631466146 ', 508: 'tar\0' };
    assert.equal(text(readOne(tar(member({ name: 'a', patch }))).entry.path), 'dir/a');
  });

  test('the seventh edition marks directories by a slash', () => {
    const { entries } = readTar(
      tar(member({ dialect: 'v7', type: '\0', name: 'd/' }), member({ dialect: 'v7', type: '\0', name: 'f' }, 'x')),
    );
    assert.deepEqual(
      entries.map(({ entry }) => [entry.type, text(entry.path), entry.size]),
      [
        ['directory', 'd', 0],
        ['file', 'f', 1],
      ],
    );
  });

  test('a file whose name ends in a slash is a directory, its data is skipped', () => {
    const { events } = readTar(tar(member({ name: 'd/' }, 'data'), member({ name: 'next' })));
    assert.deepEqual(events, ['entry d', 'entry next']);
  });

  test('GNU long names and link names, of several blocks', () => {
    const [name, link] = [`deep/${'n'.repeat(200)}/${'m'.repeat(255)}`, `${'x/'.repeat(700)}y`];
    const { entry } = readOne(
      tar(gnuLong('K', link), gnuLong('L', name), member({ type: '2', name: 'cut', link: 'cut' })),
    );
    assert.equal(text(entry.path), name);
    assert.equal(text(entry.linkname), link);
  });

  test('base-256 numbers: ids and sizes beyond octal, times before 1970', () => {
    const { entry } = readOne(tar(member({ dialect: 'gnu', uid: 4294967294, gid: 2097152, mtime: -62135596800 })));
    assert.equal(entry.uid, 4294967294);
    assert.equal(entry.gid, 2097152);
    assert.deepEqual(entry.mtime, { seconds: -62135596800, nanoseconds: 0 });
    const huge = headerBlock({ size: 2 ** 40, type: '0' });
    assert.throws(() => readTar(huge), { code: 'MALFORMED' }, 'cut short, but read');
  });

  test('numbers padded with blanks, as old tars have them', () => {
    const patch = { 100: '   644 \0', 108: '     12 ', 116: '        ', 124: '         5 \0' };
    const { entry } = readOne(tar(Buffer.concat([headerBlock({ patch }), Buffer.from('hello'), Buffer.alloc(507)])));
    assert.deepEqual([entry.mode, entry.uid, entry.gid, entry.size], [0o644, 10, 0, 5]);
  });

  test('checksums over signed bytes are taken, wrong ones are not', () => {
    const name = Buffer.from([0xff, 0xe9, 0x61]);
    assert.deepEqual(Buffer.from(readOne(tar(member({ name, signedChecksum: true }))).entry.path), name);
    const broken = tar(member({ name }));
    broken[5] = 1;
    refuses('MALFORMED', broken);
  });

  test('names are bytes', () => {
    const name = Buffer.from([0xff, 0xfe, 0x80, 0x0a]);
    assert.deepEqual(Buffer.from(readOne(tar(member({ name }))).entry.path), name);
  });

  test('all types', () => {
    const { entries } = readTar(
      tar(
        member({ type: '0', name: 'file' }),
        member({ type: '7', name: 'contiguous' }, 'x'),
        member({ type: '1', name: 'hard', link: './file' }),
        member({ type: '2', name: 'soft', link: '../file' }),
        member({ type: '3', name: 'char', major: 4, minor: 5 }),
        member({ type: '4', name: 'block', major: 259, minor: 70000 }),
        member({ type: '5', name: 'dir/' }),
        member({ type: '6', name: 'fifo' }),
      ),
    );
    assert.deepEqual(
      entries.map(({ entry }) => `${entry.type} ${text(entry.linkname)} ${entry.deviceMajor}:${entry.deviceMinor}`),
      [
        'file  0:0',
        'file  0:0',
        'hardlink file 0:0',
        'symlink ../file 0:0',
        'char  4:5',
        'block  259:70000',
        'directory  0:0',
        'fifo  0:0',
      ],
    );
  });

  test('a hard link, symlink or directory with a size has no data to skip', () => {
    for (const type of ['1', '2', '5']) {
      const bytes = tar(headerBlock({ type, name: 'a', link: 'b', size: 5000 }), member({ name: 'next' }, 'x'));
      assert.deepEqual(readTar(bytes).events, ['entry a', 'entry next']);
    }
  });

  test('a volume label is passed over, a type nobody knows is refused', () => {
    assert.deepEqual(readTar(tar(member({ type: 'V', name: 'label' }), member({ name: 'a' }))).events, ['entry a']);
    refuses('UNSUPPORTED', tar(member({ type: 'M', name: 'continued' })));
  });
});

describe('PAX records', () => {
  const one = (records: [string, string | Uint8Array][], fields = {}) =>
    readOne(tar(paxHeader(records), member({ name: 'short', ...fields }, fields === undefined ? '' : '')));

  test('path, link path, ids', () => {
    const { entry } = one(
      [
        ['path', 'long/päth'],
        ['linkpath', 'target'],
        ['uid', '4294967294'],
        ['gid', '3000000000'],
      ],
      { type: '2' },
    );
    assert.equal(text(entry.path), 'long/päth');
    assert.equal(text(entry.linkname), 'target');
    assert.deepEqual([entry.uid, entry.gid], [4294967294, 3000000000]);
  });

  test('times with fractions, before 1970 too', () => {
    const time = (value: string) => one([['mtime', value]]).entry.mtime;
    assert.deepEqual(time('1700000000.123456789'), { seconds: 1700000000, nanoseconds: 123456789 });
    assert.deepEqual(time('1.5'), { seconds: 1, nanoseconds: 500000000 });
    assert.deepEqual(time('7'), { seconds: 7, nanoseconds: 0 });
    assert.deepEqual(time('7.'), { seconds: 7, nanoseconds: 0 });
    assert.deepEqual(time('-1.25'), { seconds: -2, nanoseconds: 750000000 });
    assert.deepEqual(time('-3'), { seconds: -3, nanoseconds: 0 });
    assert.deepEqual(time('0.1234567899'), { seconds: 0, nanoseconds: 123456789 });
    assert.deepEqual(one([['atime', '9.000000001']]).entry.atime, { seconds: 9, nanoseconds: 1 });
    assert.throws(() => time('soon'), { code: 'MALFORMED' });
  });

  test('the size of a record counts, not that of the header', () => {
    const bytes = Buffer.concat([
      paxHeader([['size', '5']]),
      headerBlock({ size: 0 }),
      Buffer.from('hello'),
      Buffer.alloc(507),
      END,
    ]);
    assert.equal(text(readOne(bytes).data), 'hello');
  });

  test('binary xattrs: NULs, newlines, equals signs, emptiness', () => {
    const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    const { entry } = one([
      ['SCHILY.xattr.user.z', Buffer.from([0, 10, 61, 255])],
      ['SCHILY.xattr.security.capability', capability],
      ['SCHILY.xattr.user.empty', ''],
      ['SCHILY.xattr.user.a%3Db%25c', 'x'],
    ]);
    assert.deepEqual(
      entry.xattrs.map(({ name, value }) => [text(name), Buffer.from(value).toString('hex')]),
      [
        ['security.capability', capability.toString('hex')],
        ['user.a=b%c', '78'],
        ['user.empty', ''],
        ['user.z', '000a3dff'],
      ],
    );
  });

  test('bsdtar spells xattrs in base64; the raw spelling wins', () => {
    const { entry } = one([
      ['LIBARCHIVE.xattr.user.only%20here', Buffer.from('a value').toString('base64')],
      ['SCHILY.xattr.user.both', 'raw'],
      ['LIBARCHIVE.xattr.user.both', Buffer.from('encoded').toString('base64')],
    ]);
    assert.deepEqual(
      entry.xattrs.map(({ name, value }) => `${text(name)}=${text(value)}`),
      ['user.both=raw', 'user.only here=a value'],
    );
  });

  test('global records hold for what follows, local ones for one entry, an empty one takes back', () => {
    const { entries } = readTar(
      tar(
        paxHeader(
          [
            ['uid', '7'],
            ['mtime', '9'],
          ],
          'g',
        ),
        member({ name: 'a', uid: 1 }),
        paxHeader([
          ['uid', '8'],
          ['mtime', ''],
        ]),
        member({ name: 'b', mtime: 4 }),
        member({ name: 'c' }),
      ),
    );
    assert.deepEqual(
      entries.map(({ entry }) => [entry.uid, entry.mtime.seconds]),
      [
        [7, 9],
        [8, 4],
        [7, 9],
      ],
    );
  });

  test('records without form are malformed', () => {
    for (const record of ['', '5', '9 path=x', '99 path=x\n', '10 path\n  \n', 'x path=a\n', '0 a=b\n', '2 a=b\n']) {
      if (record !== '') refuses('MALFORMED', tar(member({ type: 'x' }, record), member({})));
    }
    refuses('MALFORMED', tar(paxHeader([['size', '-1']]), member({})));
    refuses('MALFORMED', tar(paxHeader([['path', 'a\0b']]), member({})));
    refuses('MALFORMED', tar(paxHeader([['SCHILY.xattr.', 'v']]), member({})));
  });
});

describe('sparse files', () => {
  const sparse = {
    size: 1_000_000,
    segments: [
      { offset: 4096, length: 5 },
      { offset: 900_000, length: 3 },
    ],
  };
  const check = (bytes: Uint8Array) => {
    for (const step of [0, 1, 511, 512, 1024]) {
      const { entries, events } = readTar(bytes, {}, step);
      const { entry, data } = entries[0]!;
      assert.deepEqual({ size: entry.size, segments: entry.segments }, sparse);
      assert.equal(text(data), 'hellobye');
      assert.equal(text(bytes.subarray(entry.dataOffset, entry.dataOffset + entry.storedSize)), 'hellobye');
      assert.deepEqual(events, ['entry holes', 'entry next']);
    }
  };
  const pair = (offset: number, length: number) =>
    Buffer.from(`${offset.toString(8).padStart(11, '0')}\0${length.toString(8).padStart(11, '0')}\0`);
  const realSize = `${(1_000_000).toString(8).padStart(11, '0')}\0`;
  const next = member({ name: 'next' });

  test('old GNU', () => {
    const patch = { 386: Buffer.concat([pair(4096, 5), pair(900_000, 3), pair(1_000_000, 0)]), 483: realSize };
    check(tar(member({ name: 'holes', type: 'S', dialect: 'gnu', patch }, 'hellobye'), next));
  });

  test('old GNU with a map that goes on in further blocks', () => {
    const first = Buffer.concat([pair(4096, 1), pair(4097, 1), pair(4098, 1), pair(4099, 1)]);
    const patch = { 386: first, 482: '\u0001', 483: realSize };
    const more = Buffer.alloc(512);
    Buffer.concat([pair(4100, 1), pair(900_000, 3), pair(1_000_000, 0)]).copy(more);
    const bytes = tar(
      headerBlock({ name: 'holes', type: 'S', dialect: 'gnu', size: 8, patch }),
      more,
      Buffer.from('hellobye'),
      Buffer.alloc(504),
      next,
    );
    const { entry, data } = readTar(bytes).entries[0]!;
    assert.equal(entry.segments?.length, 6);
    assert.equal(entry.dataOffset, 1024);
    assert.equal(text(data), 'hellobye');
  });

  test('PAX 0.0', () => {
    check(
      tar(
        paxHeader([
          ['GNU.sparse.size', '1000000'],
          ['GNU.sparse.numblocks', '2'],
          ['GNU.sparse.offset', '4096'],
          ['GNU.sparse.numbytes', '5'],
          ['GNU.sparse.offset', '900000'],
          ['GNU.sparse.numbytes', '3'],
        ]),
        member({ name: 'holes' }, 'hellobye'),
        next,
      ),
    );
  });

  test('PAX 0.1', () => {
    check(
      tar(
        paxHeader([
          ['GNU.sparse.size', '1000000'],
          ['GNU.sparse.map', '4096,5,900000,3'],
          ['GNU.sparse.name', 'holes'],
        ]),
        member({ name: 'GNUSparseFile.1/holes' }, 'hellobye'),
        next,
      ),
    );
  });

  test('PAX 1.0, its map in front of the data', () => {
    const map = Buffer.alloc(512);
    map.write('2\n4096\n5\n900000\n3\n');
    check(
      tar(
        paxHeader([
          ['GNU.sparse.major', '1'],
          ['GNU.sparse.minor', '0'],
          ['GNU.sparse.name', 'holes'],
          ['GNU.sparse.realsize', '1000000'],
        ]),
        member({ name: 'GNUSparseFile.1/holes' }, Buffer.concat([map, Buffer.from('hellobye')])),
        next,
      ),
    );
  });

  test('maps that overlap, go back, leave the file or miscount its bytes are malformed', () => {
    const withMap = (map: string, size = '1000') =>
      tar(
        paxHeader([
          ['GNU.sparse.size', size],
          ['GNU.sparse.map', map],
        ]),
        member({}, 'hello'),
      );
    for (const map of ['0,3,2,2', '10,5,0,0', '998,5', '0,4', '0,6', '0,5,7', '1,2,3', 'x,5'])
      refuses('MALFORMED', withMap(map));
    assert.equal(readTar(withMap('995,5')).entries.length, 1);
  });

  test('a bomb: a map without end (CVE-2025-58183)', () => {
    const blocks = Buffer.alloc(512 * 100, `${'0\n'.repeat(256)}`);
    blocks.write('999999999\n');
    const records = [
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.realsize', '10'],
    ] as const;
    refuses('LIMIT_EXCEEDED', tar(paxHeader(records), member({}, blocks)), { headerBytes: 10_000 });
    const extended = Buffer.alloc(512);
    extended[504] = 1;
    const old = headerBlock({ type: 'S', dialect: 'gnu', patch: { 482: '\u0001', 483: realSize } });
    refuses('LIMIT_EXCEEDED', Buffer.concat([old, ...Array(100).fill(extended)]), { headerBytes: 10_000 });
  });

  test('a bomb: a sparse file larger than a layer may be', () => {
    const records = [
      ['GNU.sparse.size', '9007199254740991'],
      ['GNU.sparse.map', ''],
    ] as const;
    refuses('LIMIT_EXCEEDED', tar(paxHeader(records), member({})));
  });
});

describe('attacks', () => {
  test('a path that climbs out by ".."', () => {
    for (const name of ['../evil', 'a/../../evil', '..', 'a/..', './..', '/..', 'a/../b']) {
      refuses('UNSAFE_LAYER', tar(member({ name })));
      refuses('UNSAFE_LAYER', tar(member({ name: 'x', type: '1', link: name })));
      refuses('UNSAFE_LAYER', tar(gnuLong('L', name), member({})));
      refuses('UNSAFE_LAYER', tar(paxHeader([['path', name]]), member({})));
    }
    refuses('UNSAFE_LAYER', tar(member({ prefix: '..', name: 'evil' })));
  });

  test('an absolute path means the root of the layer', () => {
    for (const name of ['/etc/passwd', './etc/passwd', '//etc///passwd', './/./etc/./passwd', 'etc/passwd/.']) {
      assert.equal(text(readOne(tar(member({ name }))).entry.path), 'etc/passwd');
    }
    assert.equal(
      text(readOne(tar(member({ name: 'x', type: '1', link: '/etc/passwd' }))).entry.linkname),
      'etc/passwd',
    );
    assert.equal(text(readOne(tar(member({ name: 'x', type: '2', link: '/../etc' }))).entry.linkname), '/../etc');
  });

  test('the root is a directory and nothing else', () => {
    for (const name of ['./', '/', '.', './/.']) {
      assert.equal(text(readOne(tar(member({ name, type: '5' }))).entry.path), '');
    }
    refuses('MALFORMED', tar(member({ name: '.' })));
    refuses('MALFORMED', tar(member({ name: '/', type: '2', link: '/etc' })));
  });

  test('a user id that wraps to root (CVE-2024-40635)', () => {
    for (const id of ['4294967295', '4294967296', '18446744073709551616']) {
      refuses('MALFORMED', tar(paxHeader([['uid', id]]), member({})));
      refuses('MALFORMED', tar(paxHeader([['gid', id]]), member({})));
    }
    const negative = Buffer.alloc(8);
    base256(negative, 0, 8, -1);
    refuses('MALFORMED', tar(member({ dialect: 'gnu', patch: { 108: negative } })));
  });

  test('xattrs that speak to union file systems are never carried from an image', () => {
    const { entry } = readOne(
      tar(
        paxHeader([
          ['SCHILY.xattr.trusted.overlay.redirect', '/etc'],
          ['SCHILY.xattr.trusted.overlay.opaque', 'y'],
          ['LIBARCHIVE.xattr.user.overlay.whiteout', 'eQ=='],
          ['LIBARCHIVE.xattr.trusted%2Eoverlay%2Emetacopy', ''],
          ['SCHILY.xattr.trusted.aufs.x', 'y'],
          ['SCHILY.xattr.user.kept', 'y'],
        ]),
        member({}),
      ),
    );
    assert.deepEqual(
      entry.xattrs.map(({ name }) => text(name)),
      ['user.kept'],
    );
  });

  test('a character device 0:0 is a whiteout in disguise', () => {
    refuses('UNSAFE_LAYER', tar(member({ type: '3', major: 0, minor: 0 })));
    refuses('MALFORMED', tar(member({ type: '3', major: 4096, minor: 0 })));
    refuses('MALFORMED', tar(member({ type: '4', major: 1, minor: 1048576 })));
  });

  test('bombs: bytes, entries, headers, paths', () => {
    refuses('LIMIT_EXCEEDED', tar(member({}, Buffer.alloc(5000))), { bytes: 4000 });
    refuses('LIMIT_EXCEEDED', tar(member({ name: 'a' }), member({ name: 'b' })), { entries: 1 });
    refuses('LIMIT_EXCEEDED', tar(paxHeader([['comment', 'c'.repeat(2000)]]), member({})), { headerBytes: 1000 });
    refuses('LIMIT_EXCEEDED', tar(gnuLong('L', 'n/'.repeat(1000)), member({})), { pathBytes: 1000 });
    refuses('LIMIT_EXCEEDED', tar(gnuLong('K', 'n/'.repeat(1000)), member({ type: '2' })), { pathBytes: 1000 });
    const globals = Array.from({ length: 20 }, (_, i) => [
      paxHeader([[`SCHILY.xattr.user.${i}`, 'v'.repeat(90)]], 'g'),
      member({}),
    ]);
    refuses('LIMIT_EXCEEDED', tar(...globals.flat()), { headerBytes: 1000 });
    const headers = Array.from({ length: 20 }, () => paxHeader([['comment', 'v'.repeat(90)]]));
    refuses('LIMIT_EXCEEDED', tar(...headers, member({})), { headerBytes: 1000 });
  });

  test('a header that announces more memory than allowed is refused before it is allocated', () => {
    refuses('LIMIT_EXCEEDED', headerBlock({ type: 'x', size: 2 ** 40 }));
    refuses('LIMIT_EXCEEDED', headerBlock({ type: 'L', size: 8 * 1024 ** 3, dialect: 'gnu' }));
  });

  test('a name longer than any file system has', () => {
    refuses('MALFORMED', tar(paxHeader([['path', 'n'.repeat(256)]]), member({})));
  });

  test('links without a target, or with a NUL in it', () => {
    refuses('MALFORMED', tar(member({ type: '2', link: '' })));
    refuses('MALFORMED', tar(member({ type: '1', link: '/' })));
    refuses('MALFORMED', tar(paxHeader([['linkpath', 'a\0b']]), member({ type: '2' })));
    refuses('MALFORMED', tar(paxHeader([['linkpath', 'a\0b']]), member({ type: '1' })));
  });
});

describe('whiteouts', () => {
  const events = (...names: string[]) => readTar(tar(...names.map((name) => member({ name })))).events;

  test('name what they hide, in the order of the tar', () => {
    assert.deepEqual(events('a/.wh.b', 'a/b', '.wh.c', 'a/.wh..wh..opq', '.wh..wh..opq', '.wh.x.wh.y'), [
      'hides a/b',
      'entry a/b',
      'hides c',
      'opaque a',
      'opaque ',
      'hides x.wh.y',
    ]);
  });

  test('are recognised whatever their type, and their data is skipped', () => {
    const bytes = tar(
      member({ name: '.wh.a' }, 'data'),
      member({ name: '.wh.b', type: '1', link: '.wh.a' }),
      member({ name: '.wh.c/', type: '5' }),
      member({ name: 'next' }),
    );
    assert.deepEqual(readTar(bytes).events, ['hides a', 'hides b', 'hides c', 'entry next']);
  });

  test("AUFS's own bookkeeping is ignored, with what lies in it", () => {
    assert.deepEqual(events('.wh..wh.aufs', '.wh..wh.plnk/12.34', 'a/.wh..wh.orph/x', '.wh..wh..opqx', 'b'), [
      'entry b',
    ]);
  });

  test('whiteout abuse: of nothing, of ".", of "..", and directories named like one', () => {
    for (const name of [
      '.wh.',
      '.wh..',
      '.wh...',
      'a/.wh.',
      'a/.wh..',
      'a/.wh...',
      '.wh./x',
      '.wh.x/y',
      '.wh.x/.wh.y',
    ]) {
      refuses('UNSAFE_LAYER', tar(member({ name })));
    }
    refuses('UNSAFE_LAYER', tar(member({ name: 'a', type: '1', link: 'b/.wh.c' })));
    assert.deepEqual(events('.wh....', '.whx', 'x.wh.y'), ['hides ...', 'entry .whx', 'entry x.wh.y']);
  });
});

describe('ends', () => {
  const whole = tar(paxHeader([['path', 'abc']]), member({ name: 'x' }, 'hello'), member({ name: 'y' }));

  test('two zero blocks end it, whatever follows counts for the size alone', () => {
    const sink = readTar(Buffer.concat([whole, member({ name: 'behind' }), Buffer.from('garbage')]));
    assert.deepEqual(sink.events, ['entry abc', 'entry y']);
    assert.equal(sink.tarSize, whole.length + 512 + 7);
  });

  test('a missing end mark is forgiven between entries', () => {
    assert.deepEqual(readTar(whole.subarray(0, -1024)).events, ['entry abc', 'entry y']);
    assert.deepEqual(readTar(whole.subarray(0, -512)).events, ['entry abc', 'entry y']);
    assert.deepEqual(readTar(new Uint8Array(0)).events, []);
  });

  test('an end anywhere else is malformed', () => {
    const boundaries = new Set([0, 1024 + 1024, 1024 + 1024 + 512, 1024 + 1024 + 1024, whole.length]);
    for (let length = 1; length < whole.length; length++) {
      if (boundaries.has(length) || length > whole.length - 512) continue;
      refuses('MALFORMED', whole.subarray(0, length));
    }
  });

  test('a lone zero block, and an extended header without its entry, are malformed', () => {
    refuses('MALFORMED', Buffer.concat([member({}), Buffer.alloc(512), member({})]));
    refuses('MALFORMED', tar(paxHeader([['path', 'x']])));
    refuses('MALFORMED', paxHeader([['path', 'x']]));
    refuses('MALFORMED', tar(gnuLong('L', 'x')));
  });
});

describe('chunks', () => {
  const bytes = tar(
    paxHeader([
      ['path', `long/${'p'.repeat(150)}`],
      ['SCHILY.xattr.user.a', Buffer.from([1, 0, 2])],
    ]),
    member({ uid: 5 }, 'hello world'),
    gnuLong('L', `${'n'.repeat(120)}/x`),
    member({}, Buffer.alloc(1500, 'abc')),
    member({ name: 'd/.wh.gone' }),
    member({ type: '2', name: 'l', link: 'target' }),
  );
  const reference = readTar(bytes);

  test('cut at every byte give the same entries', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      const sink = readTar(bytes, {}, cut);
      assert.deepEqual(sink.events, reference.events);
      assert.deepEqual(sink.entries, reference.entries, `in steps of ${cut}`);
    }
  });
});

describe('garbage', () => {
  const seed = tar(
    paxHeader([
      ['path', 'some/path'],
      ['mtime', '1.5'],
      ['SCHILY.xattr.user.x', 'y'],
    ]),
    member({ uid: 3 }, 'data'),
    gnuLong('K', 'target'),
    member({ type: '2' }),
    paxHeader([
      ['GNU.sparse.major', '1'],
      ['GNU.sparse.realsize', '100'],
      ['GNU.sparse.name', 's'],
    ]),
    member({}, Buffer.concat([Buffer.from('1\n0\n4\n'), Buffer.alloc(506), Buffer.from('data')])),
  );

  /** Changed headers get a checksum that is right again: else nothing behind it would ever be reached. */
  function rechecked(bytes: Buffer): Buffer {
    for (let at = 0; at + 512 <= bytes.length; at += 512) {
      if (bytes.toString('latin1', at + 257, at + 262) !== 'ustar') continue;
      bytes.write('        ', at + 148);
      const sum = bytes.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
      bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148);
    }
    return bytes;
  }

  test('never gets anything but a clean error', () => {
    const change = fc.record({ at: fc.nat(seed.length - 1), byte: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(seed.length), (changes, length) => {
        const bytes = Buffer.from(seed);
        for (const { at, byte } of changes) bytes[at] = byte;
        try {
          readTar(rechecked(bytes).subarray(0, length), { headerBytes: 10_000 });
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'TslayerError', String(error));
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('of any kind in a PAX header ends in a clean error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (junk) => {
        try {
          readTar(tar(member({ type: 'x' }, Buffer.concat([junk, paxRecord('path', 'x')])), member({})));
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'TslayerError', String(error));
        }
      }),
    );
  });
});
