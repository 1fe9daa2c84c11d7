/** The AUFS driver's layers, as files: what a kernel that has AUFS would be given to mount. */
import assert from 'node:assert/strict';
import { existsSync, lstatSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { AufsDriver } from '../../../drivers/aufs/index.ts';
import type { AufsPlaces } from '../../../drivers/aufs/places.ts';
import type { LayerItem } from '../../../drivers/conformance/encode.ts';
import { dir, file, opaque, whiteout } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit, treeBelow } from '../../../drivers/conformance/kit.ts';
import { compareTrees, type TreeRecord } from '../../../drivers/conformance/tree.ts';
import { Directories } from '../../../drivers/directories/directories.ts';
import type { DriverModule } from '../../../drivers/driver.ts';
import { driver as vfs } from '../../../drivers/vfs/index.ts';
import { isTslayerError } from '../../../src/errors.ts';
import { type Question, questions } from '../../support/aufs-answers.ts';
import { collect } from '../../support/collect.ts';
import { FakeAufs, FakeErrno } from '../../support/fake-aufs.ts';
import { completeLayer, showItem, sketchyLayer } from '../../support/random-layers.ts';
import { missing, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

/** The driver as on a kernel with `dirperm1`. */
const driver: DriverModule = {
  name: 'aufs',
  summary: 'AUFS without a kernel for it',
  probe: async () => ({ available: false, reason: 'not asked', features: {} }),
  async open(directory) {
    const places: AufsPlaces = { lock: join(directory, '.lock'), xino: (name) => `/run/${name}.xino` };
    return new AufsDriver(await Directories.open(directory), places, { acl: true, dirperm1: true, tmpfs: false });
  },
};

const runs = Number(process.env.TSLAYER_PROPERTY_RUNS ?? 20);

/** What a kernel with AUFS would show of a stack, by the mounts that the driver asks for. */
async function unionOf(layers: readonly (readonly LayerItem[])[]): Promise<TreeRecord[] | string> {
  await using kit = await Kit.open(driver);
  try {
    const stack = await kit.stack(...layers);
    const mounts = await kit.driver.mounts(undefined, stack, {});
    const kernel = new FakeAufs();
    kernel.mount(mounts);
    const target = kit.path('union');
    kernel.showAt(target);
    return treeBelow(target);
  } catch (error) {
    if (isTslayerError(error)) return error.code;
    throw error;
  }
}

async function copyOf(layers: readonly (readonly LayerItem[])[]): Promise<TreeRecord[] | string> {
  await using kit = await Kit.open(vfs);
  try {
    return await kit.view(await kit.stack(...layers));
  } catch (error) {
    if (isTslayerError(error)) return error.code;
    throw error;
  }
}

describe('a kernel that is played by files', { skip: missing(root) }, () => {
  after(closeUnpacker);

  for (const [name, layer] of Object.entries({
    'that name every directory': completeLayer,
    'that imply most': sketchyLayer,
  })) {
    test(`shows the tree of vfs for any changesets ${name}`, async () => {
      const stacks = fc.array(layer, { minLength: 1, maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(stacks, async (layers) => {
          const [copy, union] = await Promise.all([copyOf(layers), unionOf(layers)]);
          const text = layers.map((items) => items.map(showItem).join(', ')).join('\n');
          if (typeof copy === 'string' || typeof union === 'string') assert.equal(union, copy, text);
          else assert.deepEqual(compareTrees(copy, union), [], text);
        }),
        { numRuns: runs },
      );
    });
  }

  test('takes the mounts of 1, 2, 60, 126 and 127 layers, short names and long', async () => {
    for (const purpose of ['a', 'a'.repeat(150)]) {
      await using kit = await Kit.open(driver);
      const opened = await driver.open(kit.path(`${purpose}/${purpose}`));
      const ids = Array.from({ length: 127 }, (_, at) => `l${at}`);
      for (const id of [...ids, 'top']) await opened.prepare(id, []);
      for (const count of [1, 2, 60, 126]) {
        const kernel = new FakeAufs();
        kernel.mount(await opened.mounts('top', ids.slice(0, count), {}));
        assert.equal(kernel.branches.length, count + 1);
        assert.deepEqual(kernel.branches.filter(({ access }) => access.startsWith('rw')).length, 1);
      }
      const view = new FakeAufs();
      view.mount(await opened.mounts(undefined, ids, {}));
      assert.equal(view.branches.length, 127);
      await assert.rejects(opened.mounts('top', ids, {}), { code: 'UNSUPPORTED', message: /127 layers.* 126 below/ });
    }
  });

  test('answers as a real kernel does, which test/aufs/facts.ts asks the same', () => {
    using directory = tempDir('fake-aufs');
    const answerOf = (calls: Question['calls']): string => {
      try {
        const lists = calls.map((options, at) => (at === 0 ? options : ['remount', ...options]));
        new FakeAufs().mount(lists.map((options) => ({ type: 'aufs', source: 'none', options })));
        return 'ok';
      } catch (error) {
        return error instanceof FakeErrno ? error.code : String(error);
      }
    };
    for (const { name, calls, answer } of questions(directory.path)) assert.equal(answerOf(calls), answer, name);
    const many = Array.from({ length: 85 }, (_, at) => `${directory.path}/b${at}=ro+wh`);
    assert.equal(answerOf([[`br:${many.join(':')}`]]), 'panic', 'nothing to ask a real one');
  });
});

/** Paths of a union's branches, top first. */
async function branchesOf(kit: Kit, id: string | undefined, stack: readonly string[]): Promise<string[]> {
  const kernel = new FakeAufs();
  kernel.mount(await kit.driver.mounts(id, stack, {}));
  return kernel.branches.map(({ path }) => path);
}

/** The name of a cover, or `layer`. */
function kindOf(branch: string): string {
  return /\/\.stacks\/[0-9a-f]{32}\/([a-z]+-\d+)\/diff$/.exec(branch)?.[1] ?? 'layer';
}

/** What is kept of stacks is as it would be made again, until one of the covers is changed. */
async function isChecked({ driver: { caches } }: Kit, cover: string): Promise<void> {
  const found = await collect(caches!.list());
  const verdicts = () => Promise.all(found.map(({ name }) => caches!.verify(name)));
  assert.deepEqual(
    await verdicts(),
    found.map(() => undefined),
  );
  const { mtime } = statSync(cover);
  const [whiteout = ''] = readdirSync(cover);
  rmSync(join(cover, whiteout));
  utimesSync(cover, mtime, mtime);
  assert.deepEqual(
    (await verdicts()).filter((verdict) => verdict !== undefined),
    [`${cover.split('/').slice(-2).join('/')}/${whiteout} is gone`],
  );
}

describe('layers of AUFS', { skip: missing(root) }, () => {
  after(closeUnpacker);

  test('whiteouts and opaque marks are files; a name beside its whiteout keeps the file alone', async () => {
    await using kit = await Kit.open(driver);
    const items = [
      dir('d'),
      whiteout('d/gone'),
      dir('o'),
      opaque('o'),
      whiteout('both'),
      file('both', 'x'),
      whiteout('bd'),
      dir('bd'),
    ];
    const [id] = await kit.layer(items);
    const diff = join(kit.directory, 'layers', id, 'diff');
    assert.deepEqual(readdirSync(diff).sort(), ['bd', 'both', 'd', 'o']);
    assert.deepEqual(readdirSync(join(diff, 'd')), ['.wh.gone']);
    assert.ok(lstatSync(join(diff, 'd/.wh.gone')).isFile());
    assert.deepEqual(readdirSync(join(diff, 'o')), ['.wh..wh.opaque']);
    assert.deepEqual(readdirSync(join(diff, 'bd')), ['.wh..wh.opaque']);
  });

  test('names that AUFS could not show are refused with the layer; whiteouts of such hide nothing', async () => {
    await using kit = await Kit.open(driver);
    await kit.layer([file('n'.repeat(242)), whiteout('w'.repeat(243))]);
    await assert.rejects(kit.layer([file('n'.repeat(243))]), { code: 'UNSUPPORTED', message: /242 bytes/ });
    await assert.rejects(kit.layer([file(`${'d'.repeat(243)}/f`)]), { code: 'UNSUPPORTED' });
  });

  test('directories that a layer implies get a branch of their looks on top', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([dir(''), dir('tmp', { mode: 0o1777 })], [file('tmp/x')]);
    const id = await kit.snapshot(stack);
    const [mount] = await kit.driver.mounts(id, stack, {});
    const branches = mount?.options[0]?.slice('br:'.length).split(':') ?? [];
    assert.equal(branches.length, 4);
    const looks = branches[1]?.replace('=ro+wh', '') ?? '';
    assert.match(looks, /\/\.stacks\/[0-9a-f]{32}\/diff$/);
    assert.equal(statSync(join(looks, 'tmp')).mode & 0o7777, 0o1777);
    await kit.driver.remove(id);
    assert.ok(existsSync(looks));
    await kit.driver.remove(stack[0]!);
    assert.equal(existsSync(looks), false);
  });

  test('what AUFS would show though a layer hides it is covered by whiteouts: in as few branches as can be', async () => {
    await using kit = await Kit.open(driver);
    const base = [dir('a'), file('a/x'), dir('b/c'), file('b/c/x'), dir('d'), file('d/x'), dir('same'), file('same/x')];
    const second = [dir('a'), opaque('a'), file('b/c', 'a file'), dir('same')];
    const stack = await kit.stack(base, second, [dir('same')], [dir('a'), dir('b/c'), dir('d'), opaque('d')]);
    const id = await kit.snapshot(stack);
    const branches = await branchesOf(kit, id, stack);
    assert.deepEqual(branches.map(kindOf), ['layer', 'layer', 'layer', 'layer', 'above-3', 'layer']);
    const cover = branches[4] ?? '';
    assert.deepEqual(readdirSync(cover).sort(), ['.wh.a', '.wh.d', 'b']);
    assert.deepEqual(readdirSync(join(cover, 'b')), ['.wh.c']);
    assert.deepEqual(await branchesOf(kit, undefined, stack), branches.slice(1), 'kept, and the same for a view');
    await isChecked(kit, cover);
    await kit.driver.remove(id);
    await kit.driver.remove(stack[1]!);
    assert.equal(existsSync(cover), false);
  });

  test('where the union takes no branch more, covers come in the place of the layers below', async () => {
    await using kit = await Kit.open(driver);
    const base = [dir('a'), dir('a/b'), file('a/b/x', 'below'), file('kept', 'kept'), dir('d'), file('d/x')];
    let stack = await kit.stack(base, [dir('a'), file('a/b', 'a file'), dir('d'), opaque('d')], [dir('a'), dir('a/b')]);
    for (let at = stack.length; at < 126; at++) stack = await kit.layer([dir('a'), file(`a/${at}`)], stack);
    const branches = await branchesOf(kit, await kit.snapshot(stack), stack);
    assert.equal(branches.length, 127);
    assert.deepEqual(
      branches.map(kindOf).filter((kind) => kind !== 'layer'),
      ['instead-125'],
    );
    const cover = branches.at(-1) ?? '';
    assert.deepEqual(readdirSync(cover).sort(), ['.wh.d', 'a', 'kept']);
    assert.deepEqual(readdirSync(join(cover, 'a')), ['.wh.b']);
    assert.deepEqual(readdirSync(join(cover, '../..')).sort(), ['instead-125', 'stack']);
    assert.equal(statSync(join(cover, 'kept')).nlink, 2);
    assert.ok(existsSync(join(kit.directory, 'layers', stack.at(-1)!, 'diff/a/b/x')), 'the layer itself is whole');
    const kernel = new FakeAufs();
    kernel.mount(await kit.driver.mounts(undefined, stack, {}));
    const target = kit.path('union');
    kernel.showAt(target);
    assert.deepEqual([readdirSync(join(target, 'a/b')), readdirSync(join(target, 'd'))], [[], []]);
    assert.equal(readdirSync(join(target, 'a')).length, 124);
    assert.equal(statSync(cover).mtimeMs, statSync(join(kit.directory, 'layers', stack.at(-1)!, 'diff')).mtimeMs);
    await isChecked(kit, cover);
  });

  test('a hidden directory is not looked through', async () => {
    await using kit = await Kit.open(driver);
    const below = [dir(''), dir('w', { mode: 0o700 }), dir('o', { mode: 0o700 })];
    const stack = await kit.stack(
      below,
      [dir(''), whiteout('w'), dir('o'), opaque('o')],
      [dir(''), file('w/x'), file('o/x')],
    );
    const [mount] = await kit.driver.mounts(await kit.snapshot(stack), stack, {});
    const looks = /(\/[^:=]*\.stacks\/[^:=]*)=ro/.exec(mount?.options[0] ?? '')?.[1];
    // Only `o` has a layer between that names it; nobody's looks reach through the whiteout of `w`.
    assert.deepEqual(readdirSync(looks ?? ''), ['o']);
    assert.equal(statSync(join(looks ?? '', 'o')).mode & 0o7777, 0o755);
  });
});
