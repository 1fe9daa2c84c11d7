/** Layers over layers: what hides what, in every order that tars come in. OCI layer.md, "Whiteouts". */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { dir, file, hardlink, opaque, symlink, whiteout } from './items.ts';
import type { Kit } from './kit.ts';
import type { Part } from './suite.ts';

/** Paths of a view, directories with a slash, the root left out. */
async function paths(kit: Kit, stack: readonly string[]): Promise<string[]> {
  const records = await kit.view(stack);
  return records.filter(({ path }) => path !== '').map(({ path, type }) => (type === 'directory' ? `${path}/` : path));
}

const BASE = [dir('d'), file('d/a', 'a'), file('d/b', 'b'), dir('d/sub'), file('d/sub/x', 'x'), file('f', 'f')];

export const whiteouts: Part = {
  async 'no layers at all are an empty directory'(kit) {
    assert.deepEqual(await paths(kit, []), []);
    const { id, path } = await kit.work([]);
    assert.deepEqual(readdirSync(path), []);
    assert.deepEqual(await kit.changes(id, []), []);
  },

  async 'a layer without entries changes nothing'(kit) {
    const base = await kit.stack(BASE);
    assert.deepEqual(await kit.view(await kit.layer([], base)), await kit.view(base));
  },

  async 'the upper of two files is seen, and both layers of a directory'(kit) {
    const stack = await kit.stack(BASE, [dir('d'), file('d/b', 'upper'), file('d/c', 'c')]);
    assert.deepEqual(await paths(kit, stack), ['d/', 'd/a', 'd/b', 'd/c', 'd/sub/', 'd/sub/x', 'f']);
    const target = await kit.mount(undefined, stack);
    assert.equal(readFileSync(join(target, 'd/b'), 'utf8'), 'upper');
  },

  async 'a whiteout hides a file; another one hides a directory with all its content'(kit) {
    const stack = await kit.stack(BASE, [dir('d'), whiteout('d/a'), whiteout('d/sub')]);
    assert.deepEqual(await paths(kit, stack), ['d/', 'd/b', 'f']);
    assert.deepEqual(await paths(kit, await kit.layer([whiteout('d')], stack)), ['f']);
  },

  async 'a whiteout of nothing leaves nothing to see'(kit) {
    const stack = await kit.stack(BASE, [dir('new'), whiteout('new/nothing'), whiteout('nothing'), file('new/x')]);
    assert.deepEqual(await paths(kit, stack), ['d/', 'd/a', 'd/b', 'd/sub/', 'd/sub/x', 'f', 'new/', 'new/x']);
    const first = await kit.stack([dir('new'), whiteout('new/nothing'), whiteout('nothing')]);
    assert.deepEqual(await paths(kit, first), ['new/']);
    const { path } = await kit.work(first);
    assert.deepEqual(readdirSync(path), ['new']);
    assert.deepEqual(readdirSync(join(path, 'new')), []);
  },

  async 'what was hidden stays hidden when a later layer makes it anew'(kit) {
    const stack = await kit.stack(BASE, [whiteout('d')], [dir('d'), file('d/new', 'n')]);
    assert.deepEqual(await paths(kit, stack), ['d/', 'd/new', 'f']);
  },

  async 'a whiteout beside a file of the same name speaks of the layers below, in both orders'(kit) {
    const base = await kit.stack(BASE);
    const before = await kit.layer(
      [dir('d'), whiteout('d/a'), file('d/a', 'new'), whiteout('d/sub'), dir('d/sub')],
      base,
    );
    const after = await kit.layer(
      [dir('d'), file('d/a', 'new'), whiteout('d/a'), dir('d/sub'), whiteout('d/sub')],
      base,
    );
    assert.deepEqual(await paths(kit, before), ['d/', 'd/a', 'd/b', 'd/sub/', 'f']);
    assert.deepEqual(await kit.view(after), await kit.view(before));
    assert.equal(readFileSync(join(await kit.mount(undefined, after), 'd/a'), 'utf8'), 'new');
  },

  async 'an opaque directory hides what is below it, before its siblings or after them'(kit) {
    const base = await kit.stack(BASE);
    const before = await kit.layer([dir('d'), opaque('d'), file('d/n'), dir('d/sub'), file('d/sub/y')], base);
    const after = await kit.layer([dir('d'), file('d/n'), dir('d/sub'), file('d/sub/y'), opaque('d')], base);
    assert.deepEqual(await paths(kit, before), ['d/', 'd/n', 'd/sub/', 'd/sub/y', 'f']);
    assert.deepEqual(await kit.view(after), await kit.view(before));
  },

  async 'a whiteout inside an opaque directory hides nothing and is not seen'(kit) {
    const stack = await kit.stack(BASE, [dir('d'), opaque('d'), whiteout('d/a'), whiteout('d/zzz'), file('d/n')]);
    assert.deepEqual(await paths(kit, stack), ['d/', 'd/n', 'f']);
  },

  async 'an opaque root hides all layers below'(kit) {
    const stack = await kit.stack(BASE, [opaque(''), file('only')]);
    assert.deepEqual(await paths(kit, stack), ['only']);
    const { path } = await kit.work(await kit.layer([file('more')], stack));
    assert.deepEqual(readdirSync(path).sort(), ['more', 'only']);
  },

  async 'a file takes the place of a directory, and a directory that of a file'(kit) {
    const stack = await kit.stack(BASE, [file('d', 'now a file'), dir('f'), file('f/x')]);
    assert.deepEqual(await paths(kit, stack), ['d', 'f/', 'f/x']);
    const back = await kit.layer([dir('d'), file('f', 'again')], stack);
    assert.deepEqual(await paths(kit, back), ['d/', 'f']);
  },

  async 'what a file hid stays hidden below a directory in its place, also where only directories are implied'(kit) {
    const base = [dir('e'), dir('e/s'), file('e/s/old'), dir('e/s/t'), file('e/s/t/old'), dir('k'), file('k/kept')];
    const middle = [dir('e'), file('e/s', 'a file'), file('k/more')];
    const stack = await kit.stack(base, middle, [file('k/last')], [file('e/s/t/new')]);
    const expected = ['e/', 'e/s/', 'e/s/t/', 'e/s/t/new', 'k/', 'k/kept', 'k/last', 'k/more'];
    assert.deepEqual(await paths(kit, stack), expected);
    const upper = await kit.layer([dir('e'), dir('e/s'), file('e/s/upper'), file('e/s/t/upper')], stack);
    assert.deepEqual(await paths(kit, upper), [
      ...['e/', 'e/s/', 'e/s/t/', 'e/s/t/new', 'e/s/t/upper', 'e/s/upper'],
      ...['k/', 'k/kept', 'k/last', 'k/more'],
    ]);
    const { id, path } = await kit.work(upper);
    assert.deepEqual(readdirSync(join(path, 'e/s')).sort(), ['t', 'upper']);
    assert.deepEqual(await kit.changes(id, upper), []);
  },

  async 'a directory that several layers replaced has what the last of them has'(kit) {
    const once = await kit.stack(BASE, [dir('d'), opaque('d'), file('d/once')], [dir('d'), file('d/more')]);
    assert.deepEqual(await paths(kit, once), ['d/', 'd/more', 'd/once', 'f']);
    const twice = await kit.layer([dir('d'), opaque('d'), file('d/twice')], once);
    assert.deepEqual(await paths(kit, twice), ['d/', 'd/twice', 'f']);
    assert.deepEqual(await paths(kit, await kit.layer([dir('d'), file('d/last')], twice)), [
      ...['d/', 'd/last', 'd/twice', 'f'],
    ]);
    const mixed = await kit.layer([dir('d'), file('d/again')], await kit.layer([file('d')], twice));
    assert.deepEqual(await paths(kit, mixed), ['d/', 'd/again', 'f']);
  },

  async 'a directory that a layer replaced is replaced in a snapshot, which is mounted again'(kit) {
    const stack = await kit.stack(BASE, [dir('d'), opaque('d'), dir('d/s'), file('d/s/x')], [dir('d'), file('d/n')]);
    const { id, path } = await kit.work(stack);
    rmSync(join(path, 'd'), { recursive: true });
    mkdirSync(join(path, 'd/s'), { recursive: true });
    kit.unmount(path);
    const again = await kit.mount(id, stack);
    assert.deepEqual(readdirSync(join(again, 'd')), ['s']);
    assert.deepEqual(readdirSync(join(again, 'd/s')), []);
    const committed = await kit.layer(kit.driver.changes(id, stack), stack);
    assert.deepEqual(await paths(kit, committed), ['d/', 'd/s/', 'f']);
  },

  async 'a link takes the place of a directory'(kit) {
    const stack = await kit.stack(BASE, [dir('elsewhere'), symlink('d', 'elsewhere')]);
    assert.deepEqual(await paths(kit, stack), ['d', 'elsewhere/', 'f']);
  },

  async 'within one layer the later of two entries counts'(kit) {
    const stack = await kit.stack([file('x', 'first'), file('x', 'second'), dir('y'), file('y/in'), file('y', 'file')]);
    assert.deepEqual(await paths(kit, stack), ['x', 'y']);
    assert.equal(readFileSync(join(await kit.mount(undefined, stack), 'x'), 'utf8'), 'second');
  },

  async 'a replaced name leaves the other names of its hard link alone'(kit) {
    const stack = await kit.stack([file('a', 'one'), hardlink('b', 'a'), hardlink('c', 'b'), file('a', 'two')]);
    const target = await kit.mount(undefined, stack);
    assert.deepEqual(
      ['a', 'b', 'c'].map((name) => readFileSync(join(target, name), 'utf8')),
      ['two', 'one', 'one'],
    );
  },

  async 'directories that a layer only implies look as a layer below says'(kit) {
    const then = { seconds: 5, nanoseconds: 7 };
    const base = [
      dir('', { mode: 0o750, mtime: then }),
      dir('tmp', { mode: 0o1777, gid: 3, mtime: then, xattrs: { 'user.t': '1' } }),
      dir('a', { mode: 0o711, mtime: then }),
      dir('a/b', { mode: 0o722, mtime: then }),
      dir('gone', { mode: 0o700 }),
    ];
    const stack = await kit.stack(base, [file('tmp/x'), file('a/b/c/d')], [whiteout('gone')], [file('gone/y')]);
    const found = new Map((await kit.view(stack)).map((record) => [record.path, record]));
    const looks = (path: string): unknown[] => [found.get(path)?.mode, found.get(path)?.gid, found.get(path)?.mtime];
    assert.equal(found.get('')?.mode, 0o750);
    assert.deepEqual(looks('tmp'), [0o1777, 3, '5.000000007']);
    assert.deepEqual(found.get('tmp')?.xattrs, ['user.t=31']);
    assert.deepEqual(looks('a'), [0o711, 0, '5.000000007']);
    assert.deepEqual(looks('a/b'), [0o722, 0, '5.000000007']);
    assert.deepEqual(looks('a/b/c'), [0o755, 0, '0.000000000']);
    assert.deepEqual(looks('gone'), [0o755, 0, '0.000000000'], 'a whiteout hides the looks, too');
    const { id, path } = await kit.work(stack);
    assert.equal(statSync(join(path, 'tmp')).mode & 0o7777, 0o1777);
    assert.deepEqual(await kit.changes(id, stack), []);
  },

  async 'a path below a link or a file of a lower layer makes a directory in its place'(kit) {
    const base = [dir('usr'), dir('usr/bin'), file('usr/bin/old'), symlink('bin', 'usr/bin'), file('f')];
    const stack = await kit.stack(base, [file('bin/tool', 'tool'), file('f/x')]);
    assert.deepEqual(await paths(kit, stack), ['bin/', 'bin/tool', 'f/', 'f/x', 'usr/', 'usr/bin/', 'usr/bin/old']);
    const hidden = await kit.stack(base, [dir('bin/sub'), whiteout('bin/old')]);
    assert.deepEqual(await paths(kit, hidden), ['bin/', 'bin/sub/', 'f', 'usr/', 'usr/bin/', 'usr/bin/old']);
  },

  async "a layer's own links lead its paths, inside the layer"(kit) {
    const own = [symlink('lib', 'usr/lib'), file('lib/a'), symlink('out', '/../../etc'), file('out/passwd', 'x')];
    const stack = await kit.stack([dir('etc', { mode: 0o700 }), file('etc/shadow')], own);
    const expected = ['etc/', 'etc/passwd', 'etc/shadow', 'lib', 'out', 'usr/', 'usr/lib/', 'usr/lib/a'];
    assert.deepEqual(await paths(kit, stack), expected);
    assert.equal((await kit.view(stack)).find(({ path }) => path === 'etc')?.mode, 0o700);
  },

  async 'an implied directory that hides all below it, with a file where a directory was'(kit) {
    const stack = await kit.stack([dir('e'), dir('e/s'), dir('e/s/x')], [opaque('e'), file('e/s')]);
    assert.deepEqual(await paths(kit, stack), ['e/', 'e/s']);
  },

  async 'a hard link to a file that only a layer below has is refused with the layer, as docker and containerd do'(
    kit,
  ) {
    const base = await kit.stack([file('below', 'x'), dir('d'), file('d/x'), symlink('l', 'd')]);
    for (const target of ['below', 'd/x', 'l/x', 'd', 'nothing']) {
      await assert.rejects(kit.layer([file('own'), hardlink('name', target)], base), { code: 'MALFORMED' }, target);
    }
    await assert.rejects(kit.layer([whiteout('below'), hardlink('name', 'below')], base), { code: 'MALFORMED' });
    assert.deepEqual(await paths(kit, base), ['below', 'd/', 'd/x', 'l']);
  },

  async 'a hard link in the place of the directory that its target is in is refused'(kit) {
    await assert.rejects(kit.layer([dir('d'), file('d/x'), hardlink('d', 'd/x')]), { code: 'MALFORMED' });
  },

  async 'names that begin like a whiteout are refused where they would delete more than they say'(kit) {
    for (const bad of ['', '.', '..']) {
      await assert.rejects(kit.layer([file(`d/.wh.${bad}`)]), { code: 'UNSAFE_LAYER' });
    }
  },
};
