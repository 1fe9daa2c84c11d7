/** A directory with everything that archives get wrong: made for real (as root), for GNU tar and others to pack. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makedev, mknod, S_IFBLK, S_IFCHR, S_IFIFO, setTimes } from '../../src/sys/files.ts';
import { setXattr } from '../../src/sys/xattr.ts';

export interface HardTreeOptions {
  /** Names in one directory. */
  readonly crowd?: number;
  /** Bytes of xattrs on one inode; ext4 holds about 4000, tmpfs and others more. */
  readonly xattrBytes?: number;
}

export function makeHardTree(at: string, { crowd = 20_000, xattrBytes = 3000 }: HardTreeOptions = {}): void {
  mkdirSync(at, { recursive: true });
  makeLinks(at);
  makeNames(at);
  makeDevices(at);
  makeCrowd(join(at, 'crowd'), crowd);
  makeXattrs(at, xattrBytes);
  makeSparse(at);
  makeOwners(at);
  makeTimes(at);
}

function makeLinks(at: string): void {
  mkdirSync(join(at, 'links'));
  const script = [
    'echo first > links/a; ln links/a links/b; ln links/a zz-far-away',
    'ln -s a links/symlink; ln links/symlink links/hard-to-symlink; ln -s /absolute/nowhere links/absolute',
    `ln -s ${'x'.repeat(600)} links/600; ln -s ${'y'.repeat(4095)} links/4095`,
    `ln -s ${'z'.repeat(447)} links/447; ln -s ${'z'.repeat(448)} links/448; ln -s ${'z'.repeat(449)} links/449`,
  ].join('\n');
  execFileSync('sh', ['-ec', script], { cwd: at });
}

/** Names at their longest, not UTF-8, with control characters, and around `.` in the byte order. */
function makeNames(at: string): void {
  const directory = Buffer.from(join(at, 'names/'));
  mkdirSync(directory);
  const names = [
    'n'.repeat(255),
    '!',
    '-dash',
    '+plus',
    ',',
    '...',
    '..two',
    '.-',
    '.hidden',
    '. ',
    '-',
    ' ',
    '\\',
    '"\'',
  ];
  const bytes = [Buffer.from([0xff, 0xfe, 0x80]), Buffer.from([1, 10, 27]), Buffer.alloc(255, 0xe9)];
  for (const name of [...names.map((text) => Buffer.from(text)), ...bytes]) {
    writeFileSync(Buffer.concat([directory, name]), name);
  }
  mkdirSync(join(at, 'deep', ...Array.from({ length: 15 }, (_, i) => `${i}-${'d'.repeat(230)}`)), { recursive: true });
}

function makeDevices(at: string): void {
  const directory = join(at, 'devices');
  mkdirSync(directory);
  mknod(join(directory, 'fifo'), S_IFIFO | 0o600);
  mknod(join(directory, 'char'), S_IFCHR | 0o660, makedev(4095, 1_048_575));
  mknod(join(directory, 'null'), S_IFCHR | 0o666, makedev(1, 3));
  mknod(join(directory, 'block'), S_IFBLK | 0o660, makedev(259, 70_000));
}

function makeCrowd(directory: string, count: number): void {
  mkdirSync(directory);
  for (let i = 0; i < count; i++) writeFileSync(join(directory, `${(i * 7919) % count}-${i}`), '');
}

function makeXattrs(at: string, bytes: number): void {
  const file = join(at, 'attributes');
  writeFileSync(file, 'x');
  for (let i = 0; bytes - i * 60_000 > 0; i++) {
    setXattr(file, `user.${'k'.repeat(200)}${i}`, Buffer.alloc(Math.min(60_000, bytes - i * 60_000), i + 1));
  }
  setXattr(at, 'user.root', Buffer.from([0, 255, 0]));
  setXattr(file, 'user.empty', Buffer.alloc(0));
  setXattr(join(at, 'devices'), 'trusted.mark', Buffer.from('t'));
  const capable = join(at, 'capable');
  copyFileSync('/bin/true', capable);
  setXattr(capable, 'security.capability', NET_RAW_AND_ADMIN);
  const acl = join(at, 'acl');
  mkdirSync(acl);
  setXattr(acl, 'system.posix_acl_access', aclOf(['u', 7], ['u', 7, 1000], ['g', 5], ['g', 4, 77], ['m', 7], ['o', 5]));
  setXattr(acl, 'system.posix_acl_default', aclOf(['u', 7], ['u', 5, 4_000_000_000], ['g', 5], ['m', 5], ['o', 5]));
}

/** cap_net_raw,cap_net_admin+ep: struct vfs_cap_data of linux/capability.h, revision 2. */
const NET_RAW_AND_ADMIN = Buffer.from('0100000200300000000000000000000000000000', 'hex');

/** Permissions of an owner, a user, the group, a group, the mask, and others, as linux/posix_acl_xattr.h has them. */
function aclOf(
  ...entries: readonly (readonly [who: 'u' | 'g' | 'm' | 'o', permissions: number, id?: number])[]
): Buffer {
  const tags = { u: [1, 2], g: [4, 8], m: [16, 16], o: [32, 32] } as const;
  const acl = Buffer.alloc(4 + 8 * entries.length);
  acl.writeUInt32LE(2);
  for (const [i, [who, permissions, id]] of entries.entries()) {
    acl.writeUInt16LE(tags[who][id === undefined ? 0 : 1], 4 + 8 * i);
    acl.writeUInt16LE(permissions, 6 + 8 * i);
    acl.writeUInt32LE(id ?? 0xffffffff, 8 + 8 * i);
  }
  return acl;
}

function makeSparse(at: string): void {
  const script = [
    'mkdir sparse; cd sparse',
    'truncate -s 5G large; for o in 0 3000000000 4294967296; do',
    '  printf data | dd of=large bs=1 seek=$o conv=notrunc status=none; done',
    'truncate -s 1000001 holes-only; truncate -s 300000 tail; printf end >> tail',
    'for i in $(seq 0 2 60); do printf x | dd of=many bs=1 seek=$((i*65536)) conv=notrunc status=none; done',
    'head -c 100000 /dev/zero | tr "\\0" "d" > dense; truncate -s 9000000 dense',
  ].join('\n');
  execFileSync('sh', ['-ec', script], { cwd: at });
}

function makeOwners(at: string): void {
  const script = [
    'mkdir owners; cd owners; for u in 0 65534 65536 2097152 4294967294; do : > $u; chown $u:$((u/2)) $u; done',
    ': > suid; chown 1000 suid; chmod 7755 suid; mkdir sticky; chmod 1777 sticky; : > none; chmod 0 none',
  ].join('\n');
  execFileSync('sh', ['-ec', script], { cwd: at });
}

function makeTimes(at: string): void {
  mkdirSync(join(at, 'times'));
  const times: [string, number, number][] = [
    ['before-1970', -1, 876_543_211],
    ['1902', -2_145_916_800, 1],
    ['2038', 2_147_483_648, 999_999_999],
    ['2200', 7_258_118_400, 123],
    ['now', 1_700_000_000, 500_000_000],
  ];
  for (const [name, seconds, nanoseconds] of times) {
    writeFileSync(join(at, 'times', name), '');
    setTimes(join(at, 'times', name), seconds, nanoseconds);
  }
}
