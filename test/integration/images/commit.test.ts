/** Commit, import and what they make: the same on every driver, and as others read it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { commitSnapshot, type NewImageOptions } from '../../../src/images/commit.ts';
import { diffImages } from '../../../src/images/diff-images.ts';
import { diffSnapshot } from '../../../src/images/diff-snapshot.ts';
import { findImage } from '../../../src/images/find.ts';
import { importTar } from '../../../src/images/import.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { setXattr } from '../../../src/sys/xattr.ts';
import { DRIVERS } from '../../support/each-driver.ts';
import { layoutRegistry } from '../../support/layout-registry.ts';
import { addImage, tarOf } from '../../support/memory-images.ts';
import { requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';
import { compareTrees, snapshotTree } from '../../support/tree-snapshot.ts';

const EPOCH = 1_700_000_000;
const reference = parseReference('localhost/made:1');

/** Everything that a container may do to a root file system. */
const CHANGES = [
  'echo more >> etc/motd; rm etc/gone; rm -r old; mkdir old; echo n > old/new',
  'ln etc/keep etc/linked; ln -s ../etc/motd app; chmod 4755 bin/sh; chown 7:8 etc/own',
  'mkdir -p deep/er; echo x > deep/er/file; mkfifo pipe',
  'rm replaced; mkdir replaced; echo y > replaced/y; truncate -s 3M sparse; printf end >> sparse',
  'printf changed | dd of=tmp/inside bs=1 conv=notrunc status=none; touch -d @1600000000 tmp; touch -d @1500000000.5 etc/old',
].join('\n');

async function changedImage(store: OpenStore, host: string): Promise<{ name: string; target: string }> {
  await pullFrom(store, `${host}/base:1`);
  const mount = await mountImage(store, `${host}/base:1`, { name: 'work' });
  execFileSync('sh', ['-ec', CHANGES], { cwd: mount.target });
  setXattr(join(mount.target, 'etc/note'), 'user.note', Buffer.from('a b'));
  return mount;
}

async function baseRegistry() {
  const registry = await layoutRegistry();
  const files = [
    'etc/motd',
    'etc/gone',
    'etc/keep',
    'etc/own',
    'etc/note',
    'old/a',
    'old/b',
    'bin/sh',
    'replaced',
    'tmp/inside',
  ];
  const { root: image } = await addImage(registry.content, [
    Object.fromEntries(files.map((name) => [name, `first ${name}`])),
    { 'etc/second': '2' },
  ]);
  registry.publish({ 'base:1': image });
  return registry;
}

describe('commit', () => {
  const made = new Map<string, { digest: string; layer: string }>();

  for (const [driver, needs] of Object.entries(DRIVERS)) {
    test(`of ${driver}: the new image shows what the snapshot showed`, async (t) => {
      if (!requires(t, ...needs)) return;
      using dir = tempDir('commit');
      await using registry = await baseRegistry();
      await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
      const mount = await changedImage(store, registry.host);
      try {
        const options: NewImageOptions = { epoch: EPOCH, changes: ['CMD ["/bin/sh"]'], author: 'me', message: 'why' };
        const result = await commitSnapshot(store, 'work', reference, options);
        assert.ok(result.layer);
        made.set(driver, { digest: result.digest.replace(registry.host, ''), layer: result.layer.diffId });
        // A time to come: no file's time is cut.
        await commitSnapshot(store, 'work', parseReference('localhost/exact:1'), { epoch: 4_000_000_000 });
        const again = await mountImage(store, 'localhost/exact:1', { name: 'again', readOnly: true });
        try {
          assert.deepEqual(compareTrees(snapshotTree(mount.target), snapshotTree(again.target)), []);
        } finally {
          await unmountImage(store, 'again');
        }
        const image = findImage(store, 'localhost/made:1');
        const config = JSON.parse(Buffer.from(await store.blobs.read(image.config)).toString());
        assert.equal(config.author, 'me');
        assert.equal(config.created, '2023-11-14T22:13:20Z');
        assert.deepEqual(config.config.Cmd, ['/bin/sh']);
        assert.equal(config.history.at(-1).comment, 'why');
      } finally {
        await unmountImage(store, 'work');
      }
      await checkStore(store);
    });
  }

  test('gives the same digests on every driver', (t) => {
    if (!requires(t, root)) return;
    const [first, ...others] = made.values();
    assert.equal(others.length, Object.keys(DRIVERS).length - 1);
    for (const other of others) assert.deepEqual(other, first);
  });

  test('of a file changed in place keeps the directories over it as they were', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('commit');
    await using registry = await layoutRegistry();
    const { root: image } = await addImage(registry.content, [{ 'tmp/x': 'one' }]);
    registry.publish({ 'base:1': image });
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    await importTar(store, '-', parseReference('localhost/base:1'), { stdin: stdinOf(await stickyTar()) });
    const mount = await mountImage(store, 'localhost/base:1', { name: 'work' });
    try {
      execFileSync('sh', ['-ec', 'printf two | dd of=tmp/x bs=1 conv=notrunc status=none'], { cwd: mount.target });
      assert.deepEqual(
        (await diffSnapshot(store, 'work')).map(({ change, path }) => `${change} ${path}`),
        ['modified tmp/x'],
      );
      const { layer } = await commitSnapshot(store, 'work', reference, { compression: 'none' });
      const listing = execFileSync('tar', ['-tvf', store.blobs.path(layer!.digest)]).toString();
      assert.match(listing, /^drwxrwxrwt.* tmp\/$/m);
    } finally {
      await unmountImage(store, 'work');
    }
  });

  test('of nothing changed adds no layer', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('commit');
    await using registry = await baseRegistry();
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    await pullFrom(store, `${registry.host}/base:1`);
    await mountImage(store, `${registry.host}/base:1`, { name: 'work' });
    try {
      const result = await commitSnapshot(store, 'work', reference, { changes: ['USER bob'] });
      assert.equal(result.layer, undefined);
      assert.equal(findImage(store, 'localhost/made:1').chainId, findImage(store, `${registry.host}/base:1`).chainId);
    } finally {
      await unmountImage(store, 'work');
    }
  });

  test('that fails leaves the store as it was', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('commit');
    await using registry = await baseRegistry();
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    const mount = await changedImage(store, registry.host);
    const blobs = store.metadata.blobs.list().length;
    try {
      execFileSync('sh', ['-ec', 'touch zz; touch z/.wh.trap 2>/dev/null || (mkdir z; touch z/.wh.trap)'], {
        cwd: mount.target,
      });
      for (const [options, code] of [
        [{}, 'INVALID_ARGUMENT'],
        [{ changes: ['RUN x'] }, 'INVALID_ARGUMENT'],
        [{ level: 99 }, 'INVALID_ARGUMENT'],
      ] as const) {
        await assert.rejects(commitSnapshot(store, 'work', reference, options), (error) => isTslayerError(error, code));
      }
      await assert.rejects(commitSnapshot(store, 'nothing', reference), (error) => isTslayerError(error, 'NOT_FOUND'));
      assert.equal(store.metadata.blobs.list().length, blobs);
      assert.deepEqual(store.metadata.leases.list(), []);
    } finally {
      await unmountImage(store, 'work');
    }
    await checkStore(store);
  });

  for (const compression of ['zstd', 'none'] as const) {
    test(`compresses with ${compression} when asked`, async (t) => {
      if (!requires(t, root)) return;
      using dir = tempDir('commit');
      await using registry = await baseRegistry();
      await using store = await openTestStore({ root: join(dir.path, 'store') });
      await changedImage(store, registry.host);
      try {
        const options = { epoch: EPOCH, compression };
        const { layer } = await commitSnapshot(store, 'work', reference, options);
        assert.equal(layer?.diffId, made.get('erofs')?.layer);
        const changes = await diffImages(
          store,
          { image: findImage(store, `${registry.host}/base:1`) },
          { image: findImage(store, 'localhost/made:1') },
          { times: false },
        );
        assert.ok(changes.some((change) => change.change === 'added' && change.after.path === 'deep/er/file'));
        assert.ok(changes.some((change) => change.change === 'deleted' && change.before.path === 'etc/gone'));
      } finally {
        await unmountImage(store, 'work');
      }
    });
  }
});

async function* stdinOf(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** A /tmp that everybody may write to. */
async function stickyTar(): Promise<Buffer> {
  using dir = tempDir('sticky');
  execFileSync('sh', ['-ec', 'mkdir tmp; chmod 1777 tmp; printf one > tmp/x'], { cwd: dir.path });
  return execFileSync('tar', ['-cf', '-', '-C', dir.path, 'tmp']);
}

describe('import', () => {
  test('keeps the tar: its digest is the diffID, whatever it came compressed in', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('import');
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    const tar = await tarOf({ 'bin/sh': 'x', 'etc/motd': 'hello' });
    const result = await importTar(store, '-', reference, {
      stdin: stdinOf(tar),
      changes: ['CMD /bin/sh'],
      epoch: EPOCH,
    });
    assert.equal(result.unpacked, true);
    const again = await importTar(store, '-', reference, {
      stdin: stdinOf(tar),
      changes: ['CMD /bin/sh'],
      epoch: EPOCH,
    });
    assert.equal(again.digest, result.digest);
    await checkStore(store);
  });

  test('refuses what is no layer and names nothing', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('import');
    await using store = await openTestStore({ root: join(dir.path, 'store') });
    for (const [bytes, code] of [
      [Buffer.from('no tar at all'.repeat(100)), 'MALFORMED'],
      [await tarOf({ '../escape': 'x' }), 'UNSAFE_LAYER'],
    ] as const) {
      await assert.rejects(importTar(store, '-', reference, { stdin: stdinOf(bytes), unpack: false }), (error) =>
        isTslayerError(error, code),
      );
    }
    assert.deepEqual(store.metadata.images.list(), []);
    assert.deepEqual(store.metadata.blobs.list(), []);
  });
});
