/** The facts that the driver was written from, asked of the kernel itself, without the driver. */
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
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { branchesOf, unionIdOf } from '../../src/mounts/aufs-unions.ts';
import { findMount } from '../../src/mounts/mountinfo.ts';
import { detachBelow } from '../../src/mounts/unmount.ts';
import { exchange, setTimes } from '../../src/sys/files.ts';
import { MS_RDONLY, MS_REMOUNT, mount, umount } from '../../src/sys/mount-api.ts';
import { getXattr, removeXattr, setXattr } from '../../src/sys/xattr.ts';
import { questions } from '../support/aufs-answers.ts';

/** Branches and a mountpoint of a test's own. */
class Trial implements Disposable {
  readonly path: string;
  readonly target: string;

  constructor(prefix: string = join(tmpdir(), 'tslayer-facts-')) {
    this.path = mkdtempSync(prefix);
    this.target = this.branch('target');
  }

  /** A directory with these files; a name that ends in `/` is a directory. */
  branch(name: string, ...files: readonly string[]): string {
    const path = join(this.path, name);
    mkdirSync(path, { recursive: true });
    for (const file of files) {
      if (file.endsWith('/')) mkdirSync(join(path, file), { recursive: true });
      else writeFileSync(join(path, file), name);
    }
    return path;
  }

  mount(options: string, flags: number = 0): void {
    const xino = /xino/.test(options) || flags & MS_REMOUNT ? '' : `,xino=/run/facts-${process.pid}.xino`;
    mount('none', this.target, 'aufs', flags, options + xino);
  }

  at(...names: readonly string[]): string {
    return join(this.target, ...names);
  }

  get branches(): string[] {
    const id = unionIdOf(findMount(this.target)!)!;
    return branchesOf(id).map(({ path }) => path.slice(this.path.length + 1));
  }

  [Symbol.dispose](): void {
    detachBelow(this.path);
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** `ok`, or the error's code. */
function answerOf(call: () => unknown): string {
  try {
    call();
    return 'ok';
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
    throw error;
  }
}

describe('what AUFS answers', () => {
  test('to lists of options, as the kernel that files play', () => {
    using trial = new Trial();
    // Short names: what does not fit into 4095 bytes is another matter.
    using short = new Trial('/run/q-');
    for (const { name, calls, answer } of questions(short.path)) {
      const found = answerOf(() => {
        for (const [at, options] of calls.entries()) trial.mount(options.join(','), at === 0 ? 0 : MS_REMOUNT);
      });
      assert.equal(found, answer, name);
      if (findMount(trial.target)) umount(trial.target);
    }
  });

  test('a remount of several options that fails applies none', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('a')}=ro+wh`);
    assert.throws(() => trial.mount(`append:${trial.branch('b')}=ro+wh,append:${trial.path}/none=ro`, MS_REMOUNT));
    assert.deepEqual(trial.branches, ['rw', 'a']);
  });

  test('append, add and del change the branches of a mounted union, mod their access', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('a', 'in-a')}=ro+wh`);
    trial.mount(`append:${trial.branch('b', 'in-b')}=ro+wh`, MS_REMOUNT);
    trial.mount(`add:1:${trial.branch('c', 'in-c')}=ro+wh`, MS_REMOUNT);
    assert.deepEqual(trial.branches, ['rw', 'c', 'a', 'b']);
    trial.mount(`del:${trial.branch('a')}`, MS_REMOUNT);
    assert.deepEqual(readdirSync(trial.target).sort(), ['in-b', 'in-c']);
    trial.mount(`mod:${trial.branch('rw')}=ro`, MS_REMOUNT);
    assert.equal(
      answerOf(() => writeFileSync(trial.at('new'), '')),
      'EROFS',
    );
  });

  test('one writable branch in two unions is accepted', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw`);
    const second = trial.branch('second');
    mount('none', second, 'aufs', 0, `br:${trial.branch('rw')}=rw,xino=/run/facts-2-${process.pid}.xino`);
    umount(second);
  });

  test('statfs tells the magic number that the driver refuses to live on', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw`);
    assert.equal(statfsSync(trial.target).type, 0x61756673);
    assert.equal(
      answerOf(() => trial.mount(`br:${trial.branch('target/nested')}=rw`)),
      'EINVAL',
    );
  });
});

describe('names on disk', () => {
  test('a whiteout is a regular file; another type is an error at lookup, as is a name beside its whiteout on top', () => {
    using trial = new Trial();
    const top = trial.branch('top', '.wh.gone', '.wh.hidden', 'hidden');
    symlinkSync('x', join(top, '.wh.link'));
    trial.mount(
      `br:${trial.branch('rw', '.wh.both', 'both')}=rw:${top}=ro+wh:${trial.branch('low', 'gone', 'link', 'stays')}=ro+wh`,
    );
    const look = (name: string): string => answerOf(() => lstatSync(trial.at(name)));
    const found = ['gone', 'stays', 'link', 'both', 'hidden'].map(look);
    assert.deepEqual(found, ['ENOENT', 'ok', 'EIO', 'EIO', 'ENOENT']);
  });

  test('an opaque directory hides what is below; the mark at the root of a branch does nothing', () => {
    using trial = new Trial();
    const top = trial.branch('top', 'd/', 'd/.wh..wh..opq', 'd/new', '.wh..wh..opq');
    trial.mount(`br:${trial.branch('rw')}=rw:${top}=ro+wh:${trial.branch('low', 'd/', 'd/old', 'f')}=ro+wh`);
    assert.deepEqual(readdirSync(trial.at('d')), ['new']);
    assert.ok(existsSync(trial.at('f')));
  });

  test('a directory is looked for below a file: what the file hides is shown', () => {
    using trial = new Trial();
    const [top, middle] = [trial.branch('top', 'd/', 'd/new'), trial.branch('middle', 'd')];
    trial.mount(`br:${trial.branch('rw')}=rw:${top}=ro+wh:${middle}=ro+wh:${trial.branch('low', 'd/', 'd/old')}=ro+wh`);
    assert.deepEqual(readdirSync(trial.at('d')).sort(), ['new', 'old']);
    umount(trial.target);
    trial.branch('cover', '.wh.d');
    const branches = ['top', 'cover', 'middle', 'low'].map((name) => `${trial.path}/${name}=ro+wh`);
    trial.mount(`br:${trial.branch('rw')}=rw:${branches.join(':')}`);
    assert.deepEqual(readdirSync(trial.at('d')), ['new'], 'a whiteout between ends the search');
  });

  test('of two opaque marks on a directory the lower one counts', () => {
    using trial = new Trial();
    const [top, middle] = ['top', 'middle'].map((name) => trial.branch(name, 'd/', 'd/.wh..wh..opq', `d/${name}`));
    trial.mount(`br:${trial.branch('rw')}=rw:${top}=ro+wh:${middle}=ro+wh:${trial.branch('low', 'd/', 'd/old')}=ro+wh`);
    assert.deepEqual(readdirSync(trial.at('d')).sort(), ['middle', 'top']);
  });

  test("a layer's own mark means nothing and is not seen", () => {
    using trial = new Trial();
    const top = trial.branch('top', 'd/', 'd/.wh..wh.opaque', 'd/new');
    trial.mount(`br:${trial.branch('rw')}=rw:${top}=ro+wh:${trial.branch('low', 'd/', 'd/old')}=ro+wh`);
    assert.deepEqual(readdirSync(trial.at('d')).sort(), ['new', 'old']);
    rmSync(trial.at('d'), { recursive: true });
    mkdirSync(trial.at('d'));
    assert.deepEqual(readdirSync(trial.at('d')), []);
  });

  test('a read-only branch without `+wh` has no whiteouts', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('top', '.wh.f')}=ro:${trial.branch('low', 'f')}=ro+wh`);
    assert.ok(existsSync(trial.at('f')));
  });

  test('whiteouts cannot be seen nor made; names have 242 bytes', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('low', 'f')}=ro+wh`);
    unlinkSync(trial.at('f'));
    assert.ok(existsSync(`${trial.branch('rw')}/.wh.f`));
    const make = (name: string): string => answerOf(() => writeFileSync(trial.at(name), ''));
    assert.deepEqual(readdirSync(trial.target), []);
    assert.equal(make('.wh.f'), 'EPERM');
    assert.deepEqual([make('n'.repeat(242)), make('n'.repeat(243))], ['ok', 'ENAMETOOLONG']);
  });

  test('its books are made by the mount, with the modes that the driver gives them, and stay', () => {
    using trial = new Trial();
    const rw = trial.branch('rw');
    trial.mount(`br:${rw}=rw`);
    assert.deepEqual(readdirSync(trial.target), []);
    umount(trial.target);
    const modeOf = (name: string): number => statSync(join(rw, name)).mode & 0o7777;
    assert.deepEqual(readdirSync(rw).sort(), ['.wh..wh.aufs', '.wh..wh.orph', '.wh..wh.plnk']);
    assert.deepEqual(readdirSync(rw).sort().map(modeOf), [0o444, 0o700, 0o700]);
  });

  test('the table of inode numbers must not be there, nor on overlayfs; it is unlinked at once', () => {
    using trial = new Trial();
    const place = trial.branch('place');
    trial.mount(`br:${trial.branch('rw')}=rw,xino=${place}/xino`);
    assert.deepEqual(readdirSync(place), []);
    umount(trial.target);
    writeFileSync(join(place, 'xino'), '');
    assert.equal(
      answerOf(() => trial.mount(`br:${trial.branch('rw')}=rw,xino=${place}/xino`)),
      'EEXIST',
    );
  });
});

describe('copying up', () => {
  test('keeps mode, owner and attributes', () => {
    using trial = new Trial();
    const low = trial.branch('low', 'f');
    chownSync(join(low, 'f'), 12, 34);
    setXattr(join(low, 'f'), 'trusted.n', Buffer.from('7'));
    const before = statSync(join(low, 'f'));
    trial.mount(`br:${trial.branch('rw')}=rw:${low}=ro+wh`);
    appendFileSync(trial.at('f'), '+');
    const { mode, uid, gid } = statSync(`${trial.branch('rw')}/f`);
    assert.deepEqual([mode, uid, gid], [before.mode, 12, 34]);
    assert.equal(String(getXattr(`${trial.path}/rw/f`, 'trusted.n')), '7');
  });

  test('gives the directory a new time; times that are set are whole seconds', () => {
    using trial = new Trial();
    const low = trial.branch('low', 'd/', 'd/f');
    setTimes(join(low, 'd'), 1000, 5);
    setTimes(join(low, 'd/f'), 1000, 5);
    trial.mount(`br:${trial.branch('rw')}=rw:${low}=ro+wh`);
    chmodSync(trial.at('d/f'), 0o600);
    const timeOf = (path: string): bigint => statSync(path, { bigint: true }).mtimeNs;
    assert.equal(timeOf(`${trial.path}/rw/d/f`), 1_000_000_000_005n);
    assert.ok(timeOf(`${trial.path}/rw/d`) > 1_000_000_000_000_000_000n);
    setTimes(trial.at('d'), 2000, 5);
    assert.equal(timeOf(`${trial.path}/rw/d`), 2_000_000_000_000n);
  });

  test('files are not exchanged out of a directory that only a lower branch has', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('low', 'd/', 'd/f', 'g')}=ro+wh`);
    const swap = (): string => answerOf(() => exchange(trial.at('d/f'), trial.at('g')));
    assert.equal(swap(), 'EBUSY');
    chmodSync(trial.at('d'), 0o700);
    assert.equal(swap(), 'ok');
  });

  test('an attribute that is removed stays, with an empty value', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw', 'f')}=rw`);
    setXattr(trial.at('f'), 'trusted.n', Buffer.from('7'));
    removeXattr(trial.at('f'), 'trusted.n');
    assert.equal(String(getXattr(trial.at('f'), 'trusted.n')), '');
  });

  test('shows ACLs with the option `acl` only', () => {
    using trial = new Trial();
    const low = trial.branch('low', 'f');
    const acl = ['01000600ffffffff', '02000600e8030000', '04000400ffffffff', '10000600ffffffff', '20000400ffffffff'];
    const value = Buffer.from(`02000000${acl.join('')}`, 'hex');
    setXattr(join(low, 'f'), 'system.posix_acl_access', value);
    trial.mount(`br:${trial.branch('rw')}=rw:${low}=ro+wh,acl`);
    assert.deepEqual(getXattr(trial.at('f'), 'system.posix_acl_access'), value);
    umount(trial.target);
    trial.mount(`br:${trial.branch('rw')}=rw:${low}=ro+wh`);
    assert.equal(getXattr(trial.at('f'), 'system.posix_acl_access'), undefined);
  });

  test('a directory with children below cannot be renamed; one made anew is opaque', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('rw')}=rw:${trial.branch('low', 'd/', 'd/f', 'e/')}=ro+wh`);
    assert.equal(
      answerOf(() => renameSync(trial.at('d'), trial.at('moved'))),
      'EXDEV',
    );
    rmdirSync(trial.at('e'));
    mkdirSync(trial.at('e'));
    assert.deepEqual(readdirSync(`${trial.path}/rw/e`), ['.wh..wh..opq']);
  });

  test('`dirperm1`: what the mode of a lower directory forbids does not count', () => {
    using trial = new Trial();
    const low = trial.branch('low', 'd/', 'd/f');
    const rw = trial.branch('rw', 'd/');
    for (const path of [trial.path, trial.target, rw, low]) chmodSync(path, 0o755);
    chmodSync(join(rw, 'd'), 0o777);
    chmodSync(join(low, 'd'), 0o700);
    for (const [option, expected] of [
      ['nodirperm1', 1],
      ['dirperm1', 0],
    ] as const) {
      trial.mount(`br:${rw}=rw:${low}=ro+wh,${option}`);
      assert.equal(spawnSync('cat', [trial.at('d/f')], { uid: 1000, gid: 1000 }).status, expected, option);
      umount(trial.target);
    }
  });

  test('of `user.` attributes to tmpfs needs `icex` on kernels whose tmpfs has none', () => {
    using trial = new Trial();
    const low = trial.branch('low', 'f');
    setXattr(join(low, 'f'), 'user.n', Buffer.from('7'));
    const tmpfs = trial.branch('tmpfs');
    mount('none', tmpfs, 'tmpfs', 0);
    const takes = answerOf(() => setXattr(tmpfs, 'user.n', Buffer.from('7'))) === 'ok';
    for (const access of ['rw', 'rw+icex']) {
      const rw = trial.branch(`tmpfs/${access}`);
      trial.mount(`br:${rw}=${access}:${low}=ro+wh`);
      const expected = takes || access === 'rw+icex' ? 'ok' : 'ENOTSUP';
      assert.equal(
        answerOf(() => appendFileSync(trial.at('f'), '+')),
        expected,
        access,
      );
      umount(trial.target);
    }
  });
});

describe('pseudo-links', () => {
  const union = (trial: Trial): void => {
    const low = trial.branch('low', 'a', 'other');
    linkSync(join(low, 'a'), join(low, 'b'));
    trial.mount(`br:${trial.branch('rw')}=rw:${low}=ro+wh`);
    appendFileSync(trial.at('a'), '+');
  };

  test('are listed by their inode numbers in the writable branch, and split by an unmount', () => {
    using trial = new Trial();
    union(trial);
    const { ino } = statSync(trial.at('b'));
    const own = statSync(`${trial.path}/rw/a`).ino;
    assert.deepEqual(readdirSync(`${trial.path}/rw/.wh..wh.plnk`), [`${ino}.${own}`]);
    // Nobody has opened `b`: that alone would link it.
    umount(trial.target);
    assert.deepEqual(readdirSync(`${trial.path}/rw/.wh..wh.plnk`), [`${ino}.${own}`], 'the list is left');
    trial.mount(`br:${trial.path}/rw=rw:${trial.path}/low=ro+wh`);
    assert.equal(readFileSync(trial.at('b'), 'utf8'), 'low');
  });

  test('a view of nothing but layers', () => {
    using trial = new Trial();
    trial.mount(`br:${trial.branch('a', 'x')}=ro+wh:${trial.branch('b', 'y')}=ro+wh`, MS_RDONLY);
    assert.deepEqual(readdirSync(trial.target).sort(), ['x', 'y']);
    assert.equal(
      answerOf(() => writeFileSync(trial.at('z'), '')),
      'EROFS',
    );
  });
});
