/** What is told of an image's files without a mount is what a mount shows: names, attributes, bytes, differences. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isTslayerError } from '../../../src/errors.ts';
import { catFile } from '../../../src/images/cat-file.ts';
import { commitSnapshot } from '../../../src/images/commit.ts';
import { diffImages, diffLayers } from '../../../src/images/diff-images.ts';
import { showBytes } from '../../../src/images/file-description.ts';
import { findImage } from '../../../src/images/find.ts';
import { importTar } from '../../../src/images/import.ts';
import { reportImageLayers } from '../../../src/images/layers-report.ts';
import { listFiles } from '../../../src/images/list-files.ts';
import { mountImage, unmountImage } from '../../../src/images/mount.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { parseReference } from '../../../src/oci/reference.ts';
import { layerIndexPath } from '../../../src/store-layout.ts';
import { DRIVERS } from '../../support/each-driver.ts';
import { fixtures, fixturesDirectory, requires } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';
import { snapshotTree, type TreeRecord } from '../../support/tree-snapshot.ts';

const OLD = 'alpine-minirootfs-3.18.9-x86_64.tar.gz';
const NEW = 'alpine-minirootfs-3.19.4-x86_64.tar.gz';
const CHANGES =
  'rm -r etc/apk; echo x > etc/new; ln bin/busybox bin/again; truncate -s 2M sparse; printf end >> sparse';

async function load(store: OpenStore): Promise<void> {
  await importTar(store, join(fixturesDirectory, OLD), parseReference('localhost/old:1'));
  await importTar(store, join(fixturesDirectory, NEW), parseReference('localhost/new:1'));
  const mount = await mountImage(store, 'localhost/new:1', { name: 'work' });
  try {
    execFileSync('sh', ['-ec', CHANGES], { cwd: mount.target });
    await commitSnapshot(store, 'work', parseReference('localhost/changed:1'), { epoch: 4_000_000_000 });
  } finally {
    await unmountImage(store, 'work');
  }
}

async function mounted(store: OpenStore, name: string): Promise<TreeRecord[]> {
  const look = await mountImage(store, name, { name: 'look', readOnly: true });
  try {
    return snapshotTree(look.target).filter((record) => record.path !== '');
  } finally {
    await unmountImage(store, 'look');
  }
}

async function sha256(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

const attributes = ({ path, type, mode, uid, gid, size, target, links }: Record<string, unknown>) => {
  return { path, type, mode, uid, gid, size: type === 'file' ? size : 0, target, links };
};

for (const [driver, needs] of Object.entries(DRIVERS)) {
  describe(`over ${driver}`, () => {
    test('ls and cat give what a mount shows, with an index and without', async (t) => {
      if (!requires(t, ...needs, fixtures(OLD, NEW))) return;
      using dir = tempDir('inspect');
      await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
      await load(store);
      const image = findImage(store, 'localhost/changed:1');
      const records = await mounted(store, 'localhost/changed:1');
      const check = async () => {
        const listed = await listFiles(store, image, '/', { recursive: true });
        const names = Map.groupBy(records, (record) => record.linkedTo);
        const expected = records.map((record) => {
          const links = names.get(record.linkedTo)?.length ?? 1;
          return attributes({
            ...record,
            path: showBytes(record.path),
            // The mode of a symbolic link means nothing, and tars have any.
            mode: record.type === 'symlink' ? 'any' : record.mode.toString(8).padStart(4, '0'),
            links: links > 1 ? links : undefined,
            target: record.type === 'symlink' ? showBytes(record.target) : undefined,
          });
        });
        const found = listed.map((file) => attributes({ ...file, mode: file.type === 'symlink' ? 'any' : file.mode }));
        const byPath = (a: { path: unknown }, b: { path: unknown }) => (String(a.path) < String(b.path) ? -1 : 1);
        assert.deepEqual(found.sort(byPath), expected.sort(byPath));
      };
      await check();
      for (const layer of store.metadata.layers.list()) rmSync(layerIndexPath(store.paths, layer.id), { force: true });
      await check();
      const files = records.filter((record) => record.type === 'file');
      const sample = files.filter((record, i) => i % 60 === 0 || /busybox|sparse|new$/.test(record.path));
      for (const record of sample) {
        assert.equal(await sha256(catFile(store, image, record.path)), record.content, record.path);
      }
      // /bin/sh leads to /bin/busybox, and a further name of it is the same file.
      const busybox = records.find((record) => record.path === 'bin/busybox')?.content;
      for (const path of ['/bin/sh', 'bin/again']) assert.equal(await sha256(catFile(store, image, path)), busybox);
      for (const [path, code] of [
        ['etc/none', 'NOT_FOUND'],
        ['etc', 'INVALID_ARGUMENT'],
        ['../../etc/new/x', 'NOT_FOUND'],
      ] as const) {
        await assert.rejects(sha256(catFile(store, image, path)), (error) => isTslayerError(error, code), path);
      }
    });

    test('diff of two images finds what their mounts differ in', async (t) => {
      if (!requires(t, ...needs, fixtures(OLD, NEW))) return;
      using dir = tempDir('inspect');
      await using store = await openTestStore({ root: join(dir.path, 'store'), driver });
      await load(store);
      const [before, after] = ['localhost/old:1', 'localhost/changed:1'].map((name) => findImage(store, name));
      assert.ok(before && after);
      const changes = await diffImages(store, { image: before }, { image: after });
      const [a, b] = [await mounted(store, before.name), await mounted(store, after.name)];
      const [from, to] = [a, b].map((records) => new Map(records.map((record) => [record.path, record])));
      assert.ok(from && to);
      const of = (kind: string) =>
        changes
          .filter((change) => change.change === kind)
          .map((c) => (c.change === 'deleted' ? c.before.path : c.after.path));
      assert.deepEqual(
        of('added').sort(),
        [...to.keys()]
          .filter((path) => !from.has(path))
          .map(showBytes)
          .sort(),
      );
      assert.deepEqual(
        of('deleted').sort(),
        [...from.keys()]
          .filter((path) => !to.has(path))
          .map(showBytes)
          .sort(),
      );
      const contents = [...to].filter(([path, { type, content: sum }]) => {
        const old = from.get(path);
        return old?.type === 'file' && type === 'file' && old.content !== sum;
      });
      const changed = changes.flatMap((c) =>
        c.change === 'modified' && c.what.includes('content') ? [c.after.path] : [],
      );
      assert.deepEqual(changed.sort(), contents.map(([path]) => showBytes(path)).sort());
      // The one layer that the commit made.
      const layer = await diffLayers(store, after, { from: 1, to: 1 }, { times: false });
      assert.ok(layer.some((change) => change.change === 'added' && change.after.path === 'etc/new'));
      assert.ok(layer.some((change) => change.change === 'deleted' && change.before.path === 'etc/apk'));
      assert.ok(layer.length < 60, `${layer.length} changes`);
      assert.deepEqual(await diffImages(store, { image: after }, { image: after }), []);
    });
  });
}

test('layers tells what the upper layer hides', async (t) => {
  if (!requires(t, ...(DRIVERS.erofs ?? []), fixtures(OLD, NEW))) return;
  using dir = tempDir('inspect');
  await using store = await openTestStore({ root: join(dir.path, 'store') });
  await load(store);
  const report = await reportImageLayers(store, findImage(store, 'localhost/changed:1'));
  const [base, upper] = report.layers;
  assert.ok(base && upper);
  assert.equal(report.layers.length, 2);
  assert.ok(base.wasted.files > 5 && base.wasted.bytes === upper.hides.bytes);
  assert.ok(upper.whiteouts >= 1);
  assert.equal(upper.createdBy, 'tslayer commit');
  assert.equal(report.wastedBytes, base.wasted.bytes);
});
