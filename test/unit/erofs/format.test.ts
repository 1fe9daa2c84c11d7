/** The parts of the EROFS format, against values worked out from its description. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../../drivers/erofs/format/crc32c.ts';
import { DirentList } from '../../../drivers/erofs/format/dirents.ts';
import { encodeDevice, readInode, writeInode } from '../../../drivers/erofs/format/inode.ts';
import { NULL_BLOCK, XATTR_BODY_MAX } from '../../../drivers/erofs/format/layout.ts';
import { readNote, writeNote } from '../../../drivers/erofs/format/note.ts';
import { decodeHead, encodeHead } from '../../../drivers/erofs/format/superblock.ts';
import { decodeXattrs, encodeXattrs } from '../../../drivers/erofs/format/xattr.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);

describe('crc32c', () => {
  test('gives the check value of its definition', () => {
    // RFC 3720, B.4 (inverted before and after there): "123456789" is 0xe3069283.
    assert.equal((crc32c(0xffffffff, bytes('123456789')) ^ 0xffffffff) >>> 0, 0xe3069283);
  });
});

describe('superblock', () => {
  const superblock = {
    rootNid: 2,
    inodes: 70_000,
    blocks: 123,
    metaBlock: 8,
    uuid: new Uint8Array(16).fill(7),
    chunked: true,
  };

  test('survives writing and reading', () => assert.deepEqual(decodeHead(encodeHead(superblock)), superblock));

  test('is refused when a bit of it flipped', () => {
    for (const at of [1024 + 8, 1024 + 14, 1024 + 40, 1024 + 500]) {
      const head = encodeHead(superblock);
      head[at]! ^= 1;
      assert.throws(() => decodeHead(head), { code: 'MALFORMED' });
    }
  });

  test('has no room for a root beyond 16 bits, nor for 2 TiB', () => {
    assert.throws(() => encodeHead({ ...superblock, rootNid: 65_536 }), RangeError);
    assert.throws(() => encodeHead({ ...superblock, rootNid: 0 }), RangeError);
    assert.throws(() => encodeHead({ ...superblock, blocks: NULL_BLOCK }), { code: 'LIMIT_EXCEEDED' });
  });

  test('leaves room for the note in front of it', () => {
    const head = encodeHead(superblock);
    const note = {
      tarLength: 2 ** 40 + 512,
      metadataDigest: new Uint8Array(32).fill(9),
      copiedDigest: new Uint8Array(32).fill(7),
      opaqueRoot: true,
      implicitRoot: false,
      implicitDirectories: true,
    };
    writeNote(head, note);
    assert.deepEqual(readNote(head), note);
    assert.deepEqual(decodeHead(head), superblock);
  });
});

describe('inode', () => {
  test('keeps 32-bit ids, sizes beyond 4 GiB and times before 1970', () => {
    const inode = {
      layout: 4,
      mode: 0o107777,
      uid: 0xfffffffe,
      gid: 4_000_000_000,
      size: 2 ** 52 + 3,
      place: 0xfffffffe,
      nid: 99,
      links: 70_000,
      seconds: -2_145_916_801,
      nanoseconds: 999_999_999,
      xattrBytes: 12 + 48,
    };
    const block = new Uint8Array(64);
    writeInode(new DataView(block.buffer), 0, inode);
    assert.deepEqual(readInode(block, 99), inode);
  });

  test('encodes devices as the kernel does', () => {
    assert.equal(encodeDevice(1, 3), 0x103);
    assert.equal(encodeDevice(259, 70_000), ((70_000 & 0xff) | (259 << 8) | ((70_000 & 0xfff00) << 12)) >>> 0);
    assert.equal(encodeDevice(4095, 1_048_575), 0xffffffff);
  });
});

describe('xattrs', () => {
  test('survive encoding, binary values too', () => {
    const value = fc.uint8Array({ maxLength: 300 });
    const name = fc
      .tuple(fc.constantFrom('user.', 'trusted.', 'security.'), fc.stringMatching(/^[a-z.]{1,40}$/))
      .map(([prefix, rest]) => Buffer.from(prefix + rest))
      .filter((full) => !/^(trusted|user)\.overlay\./.test(full.toString()));
    const list = fc.array(fc.record({ name, value }), { maxLength: 8 });
    fc.assert(
      fc.property(list, (xattrs) => {
        const { entries, refused } = encodeXattrs(xattrs);
        assert.deepEqual(refused, []);
        assert.equal(entries.length % 4, 0);
        const plain = (all: typeof xattrs) => all.map(({ name: n, value: v }) => [Buffer.from(n), Buffer.from(v)]);
        assert.deepEqual(
          plain(decodeXattrs(Buffer.concat([Buffer.alloc(12), entries])) as typeof xattrs),
          plain(xattrs),
        );
      }),
    );
  });

  test('of the overlay are never taken from an image', () => {
    const names = ['trusted.overlay.opaque', 'trusted.overlay.redirect', 'user.overlay.whiteout'];
    const xattrs = names.map((name) => ({ name: bytes(name), value: bytes('y') }));
    assert.deepEqual(encodeXattrs(xattrs), { entries: Buffer.alloc(0), refused: [] });
  });

  test('that EROFS has no place for are named, not dropped silently', () => {
    const names = [
      'system.other',
      'nonsense',
      'user.',
      `user.${'n'.repeat(256)}`,
      'user.a\0b',
      'system.posix_acl_accessx',
    ];
    const { entries, refused } = encodeXattrs(names.map((name) => ({ name: bytes(name), value: bytes('v') })));
    assert.equal(entries.length, 0);
    assert.deepEqual(
      refused.map(String),
      names.map((name) => String(bytes(name))),
    );
  });

  test('of one inode end at what the format can count', () => {
    const piece = (size: number, index: number) => ({ name: bytes(`user.${index}`), value: new Uint8Array(size) });
    // Four entries of 4 + 1 + 65,527 bytes and one that fills up to 262,148 with the header's 12.
    const full = [65_527, 65_527, 65_527, 65_527, 3].map(piece);
    assert.equal(encodeXattrs(full).entries.length + 12, XATTR_BODY_MAX);
    assert.throws(() => encodeXattrs([...full, piece(0, 9)]), { code: 'LIMIT_EXCEEDED' });
  });
});

describe('directory blocks', () => {
  test('hold whole entries only, and tell their number by the first name', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(lengths, (all) => {
        const list = new DirentList();
        for (const length of all) list.push(5, 1, 0, length);
        const names = new Uint8Array(255).fill(0x61);
        let seen = 0;
        for (let from = 0; from < list.count; ) {
          const to = list.blockEnd(from);
          const block = new Uint8Array(512);
          assert.ok(to > from && list.bytes(from, to) <= 512);
          list.write(from, to, block, new DataView(block.buffer), 0, names);
          assert.equal(new DataView(block.buffer).getUint16(8, true), 12 * (to - from));
          seen += to - from;
          from = to;
        }
        assert.equal(seen, all.length);
      }),
    );
  });
});
