/** A disk that is full, or becomes it: status 8, one line and a hint, nothing half-done left, and a way out. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { PackedLayer } from '../../../scripts/demo/layout.ts';
import { detachBelow, unmount } from '../../../src/mounts/unmount.ts';
import { type Finished, tslayer } from '../../support/cli.ts';
import { type ImageServer, serveImages } from '../../support/image-server.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { type Requirement, requires, root } from '../../support/requires.ts';
import { tarBytes } from '../../support/tar-bytes.ts';
import { tempDir } from '../../support/temp-dir.ts';

const MIB = 1024 * 1024;

let server: ImageServer;

before(async () => {
  server = await serveImages([
    { name: 'small:1', layers: [layer({ small: randomBytes(100_000) })] },
    { name: 'noise:1', layers: [layer({ noise: randomBytes(20 * MIB) })] },
    // Small while it travels.
    { name: 'zeros:1', layers: [layer({ zeros: Buffer.alloc(40 * MIB) })] },
    { name: 'many:1', layers: [layer(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`f${i}`, 'x'])))] },
  ]);
});

after(() => server[Symbol.asyncDispose]());

function layer(files: Readonly<Record<string, string | Uint8Array>>): PackedLayer {
  const tar = tarBytes(Object.entries(files).map(([path, data]) => ({ path, data })));
  const diffID = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
  return { blob: gzipSync(tar, { level: 1 }), diffID, createdBy: 'test' };
}

interface SmallDisk extends Disposable {
  readonly path: string;
}

function tmpfs(options: string): SmallDisk {
  const dir = tempDir('no-space');
  const path = join(dir.path, 'mnt');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  return {
    path,
    [Symbol.dispose]() {
      detachBelow(path);
      unmount(path);
      dir[Symbol.dispose]();
    },
  };
}

const loop: Requirement = () => cannotLoop('ext4');

/** What fills up, with which driver, and which image it takes. EROFS images are not mounted from tmpfs. */
const CASES: readonly [what: string, needs: Requirement[], disk: () => SmallDisk, driver: string, image: string][] = [
  ['too small for the blobs, erofs', [loop], () => loopFs('ext4', 24), 'erofs', 'noise:1'],
  ['too small for the layers, erofs', [loop], () => loopFs('ext4', 24), 'erofs', 'zeros:1'],
  ['too small for the blobs, overlayfs', [], () => tmpfs('size=16m'), 'overlayfs', 'noise:1'],
  ['too small for the layers, overlayfs', [], () => tmpfs('size=16m'), 'overlayfs', 'zeros:1'],
  ['too small for the layers, vfs', [], () => tmpfs('size=16m'), 'vfs', 'zeros:1'],
  ['without inodes left, overlayfs', [], () => tmpfs('nr_inodes=500'), 'overlayfs', 'many:1'],
  ['too small for a store', [], () => tmpfs('size=100k'), 'vfs', 'small:1'],
];

function assertNoSpace({ status, stdout, stderr }: Finished): void {
  assert.equal(status, 8, stderr);
  assert.equal(stdout, '');
  const lines = stderr.split('\n');
  const [complaint = '', ...rest] = lines.slice(lines.findIndex((line) => line.startsWith('tslayer:')));
  assert.match(complaint, /^tslayer: .*(?:no space|full|needs [0-9.]+ MB)/);
  assert.deepEqual(rest, ['hint: remove images with rmi, collect with gc, or put the store elsewhere with --root', '']);
}

describe('a disk', () => {
  for (const [what, needs, disk, driver, image] of CASES) {
    test(what, async (t) => {
      if (!requires(t, root, ...needs)) return;
      using small = disk();
      const store = join(small.path, 'store');
      const run = (...args: string[]): Promise<Finished> => tslayer(['--root', store, '--driver', driver, ...args]);
      assertNoSpace(await run('pull', `${server.host}/${image}`));
      assert.deepEqual(readdirSync(join(store, 'blobs/sha256')), []);
      assert.deepEqual(readdirSync(join(store, 'tmp')), []);
      if (what.endsWith('a store')) return;
      assert.equal((await run('fsck')).stdout, 'clean\n');
      assert.equal((await run('pull', `${server.host}/small:1`)).status, 0, 'a smaller image still fits');
    });
  }

  test('filled to the last byte by others: what is there works, and can be removed', async (t) => {
    if (!requires(t, root)) return;
    using small = tmpfs('size=32m');
    const run = (...args: string[]): Promise<Finished> => tslayer(['--root', join(small.path, 'store'), ...args]);
    const name = `${server.host}/small:1`;
    assert.equal((await run('--driver', 'overlayfs', 'pull', name)).status, 0);
    const { bavail, bsize } = statfsSync(small.path);
    writeFileSync(join(small.path, 'others'), Buffer.alloc(bavail * bsize));
    assert.equal(statfsSync(small.path).bavail, 0);
    assert.match((await run('images')).stdout, /small:1/);
    assertNoSpace(await run('pull', `${server.host}/zeros:1`));
    const mounted = await run('mount', name);
    assert.equal(mounted.status, 0, mounted.stderr);
    assert.equal((await run('umount', mounted.stdout.trim())).status, 0);
    const removed = await run('rmi', name);
    assert.equal(removed.status, 0, removed.stderr);
    assert.equal((await run('fsck')).stdout, 'clean\n');
  });
});
