/** What a snapshot has over its parent: the same lines on every driver. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { exchange, mknod, S_IFCHR, S_IFIFO, S_IFSOCK } from '../../src/sys/files.ts';
import { setXattr } from '../../src/sys/xattr.ts';
import type { Change, Stack } from '../driver.ts';
import type { LayerItem } from './encode.ts';
import { dir, file, hardlink, symlink } from './items.ts';
import { type Kit, treeBelow } from './kit.ts';
import type { Part, Setup } from './suite.ts';
import { compareTrees } from './tree.ts';

const BASE = [
  dir('d'),
  file('d/a', 'a', { xattrs: { 'user.x': '1' } }),
  file('d/b', 'b'),
  dir('d/sub'),
  file('d/sub/x', 'x'),
  file('f', 'f'),
  symlink('l', 'd/a'),
];

/** Layers with times that can be set anew through a mount, and the moment that they have in common, for touch(1). */
function settable(items: readonly LayerItem[], { keepsNanoseconds = true }: Setup): LayerItem[] {
  if (keepsNanoseconds) return [...items];
  return items.map((item) =>
    'entry' in item ? { ...item, entry: { ...item.entry, mtime: { ...item.entry.mtime, nanoseconds: 0 } } } : item,
  );
}

const momentOf = ({ keepsNanoseconds = true }: Setup): string =>
  keepsNanoseconds ? '@1234567890.123456789' : '@1234567890';

/** Runs `work` in a mounted snapshot; what `changes` says, without directories that only got a new time. */
async function changesAfter(kit: Kit, stack: Stack, work: (path: string) => void): Promise<string[]> {
  const { id, path } = await kit.work(stack);
  work(path);
  const lines = await kit.changes(id, stack);
  kit.unmount(path);
  assert.deepEqual(await kit.changes(id, stack), lines, 'mounted or not');
  return lines.filter((line) => !['~ ', '~ d', '~ d/sub'].includes(line));
}

/** Commits the snapshot as a layer; what differs between it and the snapshot. */
async function roundTrip(kit: Kit, id: string, path: string, stack: Stack): Promise<string[]> {
  const committed = await kit.layer(kit.driver.changes(id, stack), stack);
  const expected = treeBelow(path).filter(({ type }) => type !== 'socket');
  return compareTrees(expected, await kit.view(committed));
}

export const changesPart: Part = {
  async 'nothing was changed'(kit) {
    const stack = await kit.stack(BASE);
    const { id, path } = await kit.work(stack);
    assert.deepEqual(await kit.changes(id, stack), []);
    treeBelow(path); // reading is no change
    assert.deepEqual(await kit.changes(id, stack), []);
  },

  async 'a file that is opened for writing and not written to is no change'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      closeSync(openSync(join(path, 'f'), 'r+'));
      chmodSync(join(path, 'd/a'), 0o644);
      chownSync(join(path, 'd/sub'), 0, 0);
    });
    assert.deepEqual(lines, []);
  },

  async 'a write that keeps size and time is a change all the same'(kit, _t, setup) {
    const stack = await kit.stack(settable(BASE, setup));
    const lines = await changesAfter(kit, stack, (path) => {
      const fd = openSync(join(path, 'f'), 'r+');
      writeSync(fd, 'F');
      closeSync(fd);
      execFileSync('touch', ['-d', momentOf(setup), join(path, 'f')]);
    });
    assert.deepEqual(lines, ['~ f']);
  },

  async 'added, modified and deleted, in the order of the tree'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      appendFileSync(join(path, 'f'), '+');
      mkdirSync(join(path, 'new'));
      writeFileSync(join(path, 'new/file'), '');
      writeFileSync(join(path, 'a.first'), '');
      unlinkSync(join(path, 'd/a'));
      rmSync(join(path, 'd/sub'), { recursive: true });
      symlinkSync('x', join(path, 'd/c'));
      mknod(join(path, 'null'), S_IFCHR, 0x103n);
    });
    assert.deepEqual(lines, ['+ a.first', '- d/a', '+ d/c', '- d/sub', '~ f', '+ new', '+ new/file', '+ null']);
  },

  async 'attributes alone: mode, owner, time, xattrs, of directories and links too'(
    kit,
    _t,
    { keepsDirectoryTimes = true },
  ) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      chmodSync(join(path, 'f'), 0o600);
      chownSync(join(path, 'd/b'), 5, 5);
      setXattr(join(path, 'd/a'), 'user.x', Buffer.from('2'));
      utimesSync(join(path, 'd/sub/x'), 1, 1);
      execFileSync('chown', ['-h', '7', join(path, 'l')]);
    });
    assert.deepEqual(lines, ['~ d/a', '~ d/b', '~ d/sub/x', '~ f', '~ l']);
    const directories = await kit.work(stack);
    chmodSync(join(directories.path, 'd/sub'), 0o700);
    chmodSync(directories.path, 0o711);
    const changed = await kit.changes(directories.id, stack);
    assert.deepEqual(
      changed.filter((line) => keepsDirectoryTimes || line !== '~ d'),
      ['~ ', '~ d/sub'],
    );
  },

  async 'what was deleted and made anew alike is no change; what is missing in it is deleted'(kit, _t, setup) {
    const stack = await kit.stack(settable(BASE, setup));
    const lines = await changesAfter(kit, stack, (path) => {
      rmSync(join(path, 'd'), { recursive: true });
      mkdirSync(join(path, 'd/sub'), { recursive: true });
      writeFileSync(join(path, 'd/b'), 'b');
      writeFileSync(join(path, 'd/n'), 'n');
      execFileSync('touch', ['-d', momentOf(setup), join(path, 'd/b')]);
    });
    assert.deepEqual(lines, ['- d/a', '+ d/n', '- d/sub/x']);
  },

  async 'one kind of file in the place of another'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      rmSync(join(path, 'd'), { recursive: true });
      writeFileSync(join(path, 'd'), 'file');
      unlinkSync(join(path, 'f'));
      mkdirSync(join(path, 'f'));
      writeFileSync(join(path, 'f/inside'), '');
      unlinkSync(join(path, 'l'));
      writeFileSync(join(path, 'l'), '');
    });
    assert.deepEqual(lines, ['~ f', '+ f/inside', '~ l']);
  },

  async 'hard links: the whole group is told, its first name with the content'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      writeFileSync(join(path, 'z'), 'new');
      linkSync(join(path, 'z'), join(path, 'd/y'));
      linkSync(join(path, 'd/b'), join(path, 'd/a-link'));
    });
    assert.deepEqual(lines, ['+ d/a-link', '= d/b -> d/a-link', '+ d/y', '= z -> d/y']);
  },

  async 'renamed files'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      renameSync(join(path, 'f'), join(path, 'g'));
      renameSync(join(path, 'd/a'), join(path, 'd/b'));
    });
    assert.deepEqual(lines, ['- d/a', '~ d/b', '- f', '+ g']);
  },

  async 'files of equal looks that changed places'(kit, _t, setup) {
    const twins = [dir('one'), file('one/x', '1'), dir('two'), file('two/x', '2'), file('p', 'p'), file('q', 'q')];
    const stack = await kit.stack(settable(twins, setup));
    const lines = await changesAfter(kit, stack, (path) => {
      const swap = 'mv one tmp; mv two one; mv tmp two; mv p tmp; mv q p; mv tmp q';
      execFileSync('sh', ['-ec', swap], { cwd: path });
      execFileSync('touch', ['-d', momentOf(setup), join(path, 'one'), join(path, 'two')]);
    });
    assert.deepEqual(lines, ['~ one/x', '~ p', '~ q', '~ two/x']);
  },

  async 'files and directories that were exchanged'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      mkdirSync(join(path, 'own'));
      writeFileSync(join(path, 'own/x'), '');
      exchange(join(path, 'f'), join(path, 'd/a'));
      exchange(join(path, 'own'), join(path, 'l'));
    });
    assert.deepEqual(lines, ['~ d/a', '~ f', '~ l', '+ l/x', '+ own']);
  },

  async 'sockets are left out; one in the place of a file deletes it'(kit) {
    const stack = await kit.stack(BASE);
    const lines = await changesAfter(kit, stack, (path) => {
      mknod(join(path, 'd/socket'), S_IFSOCK | 0o600);
      unlinkSync(join(path, 'f'));
      mknod(join(path, 'f'), S_IFSOCK | 0o600);
      mknod(join(path, 'fifo'), S_IFIFO | 0o600);
    });
    assert.deepEqual(lines, ['- f', '+ fifo']);
  },

  async 'a snapshot of nothing: all of it is added'(kit) {
    const { id, path } = await kit.work([]);
    mkdirSync(join(path, 'd'));
    writeFileSync(join(path, 'd/f'), 'x');
    assert.deepEqual(await kit.changes(id, []), ['~ ', '+ d', '+ d/f']);
    assert.deepEqual(await roundTrip(kit, id, path, []), []);
  },

  async 'entries say all that the layer needs, and their files are read while they are told'(kit) {
    const stack = await kit.stack(BASE);
    const { id, path } = await kit.work(stack);
    writeFileSync(join(path, 'dense'), Buffer.alloc(700_001, 'd'));
    truncateSync(join(path, 'f'), 10_000_000);
    const read: Record<string, number> = {};
    let earlier: Change | undefined;
    for await (const change of kit.driver.changes(id, stack)) {
      if (change.kind !== 'added' && change.kind !== 'modified') continue;
      if (change.entry.type !== 'file') continue;
      assert.equal(change.entry.linkname.length, 0);
      let bytes = 0;
      for await (const chunk of change.open?.() ?? []) bytes += chunk.length;
      assert.equal(bytes, change.entry.storedSize);
      read[Buffer.from(change.entry.path).toString()] = bytes;
      if (change.entry.segments === undefined) assert.equal(change.entry.storedSize, change.entry.size);
      earlier ??= change;
    }
    assert.equal(read.dense, 700_001);
    assert.ok((read.f ?? 0) < 100_000, 'holes are not read');
    assert.ok(earlier && 'open' in earlier);
  },

  async 'changes, made a layer and applied, give the same tree'(kit) {
    const stack = await kit.stack([...BASE, file('h1', 'h'), hardlink('h2', 'h1')], [dir('d'), file('d/upper', 'u')]);
    const { id, path } = await kit.work(stack);
    const script = [
      'rm -r d/sub; mkdir d/sub; echo new > d/sub/y; rm f; mkdir f; echo in > f/in; chmod 1777 f',
      'mkfifo fifo; mknod dev c 1 7; mknod blk b 7 1; ln -s ../../etc link; chown -h 3:4 link',
      'truncate -s 1M hole; printf x >> hole; printf "\\001\\377" > bin; chmod 4711 bin; chown 9 bin; chmod 4711 bin',
      'ln bin d/bin2; ln -s x sym; ln sym sym2; rm h1; echo more >> d/upper; rm d/a; touch d/a; touch -d @-5.5 d/b',
      'mkdir -p deep/er; mv l deep/er/moved; touch "$(printf "odd\\377\\nname")"; chmod 700 .; chown 4 d',
    ].join('\n');
    execFileSync('sh', ['-ec', script], { cwd: path });
    setXattr(join(path, 'bin'), 'user.binary', Buffer.from([0, 255]));
    setXattr(join(path, 'deep'), 'trusted.t', Buffer.from('x'));
    mknod(join(path, 'deep/socket'), S_IFSOCK | 0o600);
    assert.deepEqual(await roundTrip(kit, id, path, stack), []);
  },
};
