import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import {
  copyFileRange,
  exchange,
  majorOf,
  makedev,
  minorOf,
  mknod,
  openat2,
  punchHole,
  RESOLVE_IN_ROOT,
  S_IFIFO,
  seekData,
  seekHole,
  setTimes,
} from '../../../src/sys/files.ts';
import { cstring, hasErrno } from '../../../src/sys/libc.ts';
import { lock, tryLock } from '../../../src/sys/locks.ts';
import { makeDirectories } from '../../../src/sys/make-directories.ts';
import { getXattr, listXattrs, removeXattr, setXattr } from '../../../src/sys/xattr.ts';

let dir = '';
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'tslayer-sys-'));
});
after(() => rmSync(dir, { recursive: true, force: true }));

describe('files', () => {
  test('times keep their nanoseconds, also before 1970 and on links', () => {
    const link = join(dir, 'link');
    symlinkSync('nowhere', link);
    for (const [seconds, nanoseconds] of [
      [-5, 123456789],
      [1700000000, 999999999],
      [0, 0],
    ] as const) {
      setTimes(link, seconds, nanoseconds);
      assert.equal(lstatSync(link, { bigint: true }).mtimeNs, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    }
  });

  test('names that are not UTF-8 reach the kernel as they are', () => {
    const name = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0x80])]);
    mknod(name, S_IFIFO | 0o600);
    assert.ok(lstatSync(name).isFIFO());
  });

  test('a name with a NUL inside is refused instead of cut', () => {
    assert.throws(
      () => cstring('a\0b'),
      (e) => hasErrno(e, 'EINVAL'),
    );
  });

  test('device numbers take the kernel’s full range', () => {
    for (const [major, minor] of [
      [0, 0],
      [1, 3],
      [0xfff, 0xfffff],
      [8, 256],
      [4095, 1048575],
    ] as const) {
      const device = makedev(major, minor);
      assert.deepEqual([majorOf(device), minorOf(device)], [major, minor]);
    }
    assert.equal(makedev(8, 1), 0x801n);
  });

  test('holes are found and made', () => {
    const fd = openSync(join(dir, 'sparse'), 'w+');
    try {
      ftruncateSync(fd, 1 << 20);
      writeSync(fd, Buffer.alloc(65536, 1), 0, 65536, 131072);
      assert.equal(seekData(fd, 0), 131072);
      assert.equal(seekHole(fd, 131072), 196608);
      assert.equal(seekData(fd, 196608), undefined);
      punchHole(fd, 131072, 65536);
      assert.equal(seekData(fd, 0), undefined);
      assert.equal(fstatSync(fd).size, 1 << 20);
    } finally {
      closeSync(fd);
    }
  });

  test('copy_file_range copies from and to the offsets of the descriptors', () => {
    writeFileSync(join(dir, 'from'), 'hello world');
    const from = openSync(join(dir, 'from'), 'r');
    const to = openSync(join(dir, 'to'), 'w');
    try {
      assert.equal(copyFileRange(from, to, 5), 5);
      assert.equal(copyFileRange(from, to, 100), 6);
      assert.equal(copyFileRange(from, to, 100), 0);
    } finally {
      closeSync(from);
      closeSync(to);
    }
    assert.equal(readFileSync(join(dir, 'to'), 'utf8'), 'hello world');
  });

  test('openat2 keeps a link to the outside inside the root', () => {
    symlinkSync('/etc/passwd', join(dir, 'passwd'));
    const root = openSync(dir, 'r');
    try {
      assert.throws(
        () => openat2(root, 'passwd', 0, RESOLVE_IN_ROOT),
        (e) => hasErrno(e, 'ENOENT'),
      );
    } finally {
      closeSync(root);
    }
  });

  test('exchange swaps two names', () => {
    writeFileSync(join(dir, 'a'), 'A');
    writeFileSync(join(dir, 'b'), 'B');
    exchange(join(dir, 'a'), join(dir, 'b'));
    assert.equal(readFileSync(join(dir, 'a'), 'utf8'), 'B');
  });
});

describe('xattrs', () => {
  test('values are bytes and survive as such', () => {
    const file = join(dir, 'x');
    writeFileSync(file, '');
    const value = Buffer.from([0, 1, 0xff, 0, 0x80]);
    setXattr(file, 'user.binary', value);
    setXattr(file, 'user.empty', new Uint8Array());
    assert.deepEqual(
      listXattrs(file)
        .map(String)
        .filter((name) => name.startsWith('user.'))
        .sort(),
      ['user.binary', 'user.empty'],
    );
    assert.deepEqual(getXattr(file, 'user.binary'), value);
    assert.equal(getXattr(file, 'user.empty')?.length, 0);
    removeXattr(file, 'user.binary');
    removeXattr(file, 'user.binary');
    assert.equal(getXattr(file, 'user.binary'), undefined);
  });
});

describe('locks', () => {
  test('one holder at a time; released on dispose', async () => {
    const path = join(dir, 'lock');
    const first = tryLock(path);
    assert.ok(first);
    assert.equal(tryLock(path), undefined);
    let waited = false;
    const second = lock(path, {
      onWait: () => {
        waited = true;
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    first[Symbol.dispose]();
    using held = await second;
    assert.equal(waited, true);
    assert.equal(held.path, path);
  });

  test('shared holders share', () => {
    const path = join(dir, 'shared');
    using a = tryLock(path, 'shared');
    using b = tryLock(path, 'shared');
    assert.ok(a && b);
    assert.equal(tryLock(path), undefined);
  });

  test('a lock whose file was unlinked meanwhile is not a lock', () => {
    const path = join(dir, 'ghost');
    using first = tryLock(path);
    assert.ok(first);
    rmSync(path);
    using second = tryLock(path);
    assert.ok(second, 'the new file is free');
  });

  test('a waiter can be interrupted', async () => {
    const path = join(dir, 'abort');
    using held = tryLock(path);
    assert.ok(held);
    await assert.rejects(lock(path, { signal: AbortSignal.timeout(10) }), (e) => isTslayerError(e, 'ABORTED'));
  });

  test('a killed holder leaves nothing to wait for', () => {
    const path = join(dir, 'killed');
    const module = new URL('../../../src/sys/locks.ts', import.meta.url).href;
    const script = `const {tryLock} = await import(${JSON.stringify(module)}); if (!tryLock(${JSON.stringify(path)})) process.exit(9); process.kill(process.pid, 'SIGKILL'); await new Promise(() => {});`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script]);
    assert.equal(child.signal, 'SIGKILL', child.stderr.toString());
    using held = tryLock(path);
    assert.ok(held);
  });
});

describe('makeDirectories', () => {
  test('makes what is missing, and is content with what is there', () => {
    const path = join(dir, 'p/q/r');
    makeDirectories(path, 0o700);
    makeDirectories(path, 0o700);
    assert.equal(lstatSync(path).mode & 0o777, 0o700);
    assert.equal(lstatSync(join(dir, 'p')).mode & 0o777, 0o700);
  });

  test('ends where no directory can be made', () => {
    assert.throws(
      () => makeDirectories('/proc/nothing/below'),
      (e) => hasErrno(e, 'ENOENT'),
    );
    writeFileSync(join(dir, 'file'), '');
    assert.throws(
      () => makeDirectories(join(dir, 'file/below')),
      (e) => hasErrno(e, 'ENOTDIR'),
    );
  });
});
