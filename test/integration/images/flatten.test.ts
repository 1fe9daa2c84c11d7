/** Export, squash and rebase: other layers, the same file system. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { commitSnapshot } from '../../../src/images/commit.ts';
import { exportImage, exportSnapshot } from '../../../src/images/export.ts';
import { findImage } from '../../../src/images/find.ts';
import { readImage } from '../../../src/images/image-layers.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import { rebaseImage } from '../../../src/images/rebase.ts';
import { squashImage } from '../../../src/images/squash.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { DRIVERS } from '../../support/each-driver.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, collect } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';
import { compareTrees, snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const target = parseReference('localhost/made:1');

async function tree(store: OpenStore, name: string): Promise<TreeRecord[]> {
  const mount = await mountImage(store, name, { name: 'look', readOnly: true });
  try {
    return snapshotTree(mount.target);
  } finally {
    await unmountImage(store, 'look');
  }
}

/** An image of several layers with all that a layer can do to those below; its name. */
async function layeredImage(store: OpenStore, registry: LayoutRegistry): Promise<string> {
  const { root: image } = await addImage(registry.content, [
    { 'etc/a': 'first', 'etc/gone': 'x', 'old/x': '1', 'old/y': '2', 'tmp/t': 't' },
    { 'etc/.wh.gone': '', 'etc/a': 'second', 'old/.wh..wh..opq': '', 'old/z': '3' },
  ]);
  registry.publish({ 'base:1': image });
  const name = `${registry.host}/base:1`;
  await pullFrom(store, name);
  const mount = await mountImage(store, name, { name: 'work' });
  const script = [
    'ln etc/a etc/b; ln -s ../etc/a app; mknod dev c 1 3; mkfifo pipe; chmod 1777 tmp; touch -d @1600000000.25 old/z',
    'truncate -s 2M sparse; printf end >> sparse; mkdir empty; chown 5:6 empty; rm -r old; mkdir old; echo n > old/n',
  ].join('\n');
  try {
    execFileSync('sh', ['-ec', script], { cwd: mount.target });
    await commitSnapshot(store, 'work', parseReference('localhost/layered:1'), { epoch: 4_000_000_000 });
  } finally {
    await unmountImage(store, 'work');
  }
  return 'localhost/layered:1';
}

for (const [driver, needs] of Object.entries(DRIVERS)) {
  describe(`over ${driver}`, () => {
    test('an exported image unpacks to the tree that a mount shows', async (t) => {
      if (!requires(t, ...needs)) return;
      using dir = tempDir('flatten');
      await using registry = await layoutRegistry();
      await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
      const name = await layeredImage(store, registry);
      const out = join(dir.path, 'out');
      mkdirSync(out);
      writeFileSync(join(dir.path, 'out.tar'), await collect(exportImage(store, findImage(store, name))));
      execFileSync('tar', ['-xpf', join(dir.path, 'out.tar'), '-C', out, '--xattrs', '--numeric-owner']);
      const ignore = ({ path }: TreeRecord) => path === '';
      const [mounted, unpacked] = [await tree(store, name), snapshotTree(out, { ignore })];
      assert.deepEqual(
        compareTrees(
          mounted.filter((record) => !ignore(record)),
          unpacked,
        ),
        [],
      );
    });

    test('a squashed image has one layer, or those kept and one, and the same tree', async (t) => {
      if (!requires(t, ...needs)) return;
      using dir = tempDir('flatten');
      await using registry = await layoutRegistry();
      await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
      const name = await layeredImage(store, registry);
      const before = await tree(store, name);
      for (const keep of [0, 1, 2]) {
        await squashImage(store, findImage(store, name), target, { keep });
        const image = findImage(store, 'localhost/made:1');
        assert.equal((await readImage(store, image)).layers.length, keep + 1);
        assert.deepEqual(compareTrees(before, await tree(store, 'localhost/made:1')), [], `keep ${keep}`);
      }
      await assert.rejects(squashImage(store, findImage(store, name), target, { keep: 3 }), (error) =>
        isTslayerError(error, 'INVALID_ARGUMENT'),
      );
      await checkStore(store);
    });
  });
}

test('a squash is the same on every driver', async (t) => {
  if (!requires(t, ...Object.values(DRIVERS).flat())) return;
  await using registry = await layoutRegistry();
  const { root: image } = await addImage(registry.content, [
    { a: '1', b: '2' },
    { b: '3', '.wh.a': '', c: '4' },
  ]);
  registry.publish({ 'base:1': image });
  const digests = new Set<string>();
  for (const driver of Object.keys(DRIVERS)) {
    using dir = tempDir('flatten');
    await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
    await pullFrom(store, `${registry.host}/base:1`);
    const options = { epoch: 1_700_000_000 };
    digests.add((await squashImage(store, findImage(store, `${registry.host}/base:1`), target, options)).digest);
  }
  assert.equal(digests.size, 1);
});

test('an exported snapshot has what was written to it', async (t) => {
  if (!requires(t, root)) return;
  using dir = tempDir('flatten');
  await using registry = await layoutRegistry();
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  const { root: image } = await addImage(registry.content, [{ 'etc/a': 'first', gone: 'x' }]);
  registry.publish({ 'base:1': image });
  await pullFrom(store, `${registry.host}/base:1`);
  const mount = await mountImage(store, `${registry.host}/base:1`, { name: 'work' });
  try {
    execFileSync('sh', ['-ec', 'rm gone; echo new > new; echo more >> etc/a'], { cwd: mount.target });
    const tar = join(dir.path, 'out.tar');
    writeFileSync(tar, await collect(exportSnapshot(store, 'work')));
    const names = execFileSync('tar', ['-tf', tar]).toString().trim().split('\n');
    assert.deepEqual(
      names
        .map((name) => name.replace(/\/$/, ''))
        .filter((name) => name !== '.')
        .sort(),
      ['etc/a', 'new'],
    );
    assert.equal(execFileSync('tar', ['-xOf', tar, 'etc/a']).toString(), 'firstmore\n');
  } finally {
    await unmountImage(store, 'work');
  }
  assert.deepEqual(store.metadata.leases.list(), []);
  await checkStore(store);
});

describe('rebase', () => {
  async function images(store: OpenStore, registry: LayoutRegistry) {
    const oldBase = { 'etc/version': 'old', 'lib/old': '1' };
    const newBase = { 'etc/version': 'new', 'lib/new': '2' };
    const app = { 'app/run': 'x' };
    registry.publish({
      'base:1': (await addImage(registry.content, [oldBase])).root,
      'base:2': (await addImage(registry.content, [newBase, { 'etc/extra': '3' }])).root,
      'app:1': (await addImage(registry.content, [oldBase, app], { cmd: ['/app/run'] })).root,
    });
    const find = async (name: string) => {
      await pullFrom(store, `${registry.host}/${name}`);
      return findImage(store, `${registry.host}/${name}`);
    };
    return { before: await find('base:1'), onto: await find('base:2'), image: await find('app:1') };
  }

  test('puts the own layers on the new base, by digest', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('rebase');
    await using registry = await layoutRegistry();
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    const { before, onto, image } = await images(store, registry);
    const result = await rebaseImage(store, { image, onto }, target, { epoch: 0 });
    assert.deepEqual(result.replaced, { base: before.name, layers: 1 });
    const made = await readImage(store, findImage(store, 'localhost/made:1'));
    const digests = made.layers.map((layer) => layer.descriptor.digest);
    const upper = (await readImage(store, image)).layers[1]?.descriptor.digest;
    const lower = (await readImage(store, onto)).layers.map((layer) => layer.descriptor.digest);
    assert.deepEqual(digests, [...lower, upper]);
    assert.deepEqual(made.config.config.Cmd, ['/app/run']);
    const paths = (await tree(store, 'localhost/made:1')).map((record) => record.path);
    assert.ok(paths.includes('lib/new') && paths.includes('app/run') && !paths.includes('lib/old'));
    assert.equal((await rebaseImage(store, { image, onto }, target, { epoch: 0 })).digest, result.digest);
    await checkStore(store);
  });

  test('refuses a base that the image is not built on', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('rebase');
    await using registry = await layoutRegistry();
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    const { before, onto, image } = await images(store, registry);
    await assert.rejects(rebaseImage(store, { image, onto: before, from: onto }, target), (error) =>
      isTslayerError(error, 'INVALID_ARGUMENT'),
    );
    await assert.rejects(rebaseImage(store, { image: onto, onto: before }, target), (error) =>
      isTslayerError(error, 'NOT_FOUND'),
    );
  });
});
