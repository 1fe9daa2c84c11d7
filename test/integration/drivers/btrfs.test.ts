/**
 * The driver from outside, on a real btrfs: loaded by its path as `--driver` does it, through the published interface
 * of the built package alone, and checked by the published suite.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { tslayer } from '../../support/cli.ts';
import { cannotLoop, type LoopFs, loopFs } from '../../support/loop-fs.ts';
import { tarOf } from '../../support/memory-images.ts';
import { tempDir } from '../../support/temp-dir.ts';

const root = resolve(import.meta.dirname, '../../..');
const skip = cannotLoop('btrfs');

// The example imports `tslayer/drivers`, which is the build: a stale one would be tested otherwise.
execFileSync(process.execPath, ['scripts/build.js', '--if-stale'], {
  cwd: root,
  stdio: ['ignore', 'ignore', 'inherit'],
});
const { conformance } = await import('tslayer/drivers/conformance');
const { loadDriver } = await import('tslayer/drivers');
const driver = await loadDriver('./examples/btrfs-driver/index.ts', root);

let disk: LoopFs | undefined;
after(() => disk?.[Symbol.dispose]());
function directory(): string {
  disk ??= loopFs('btrfs');
  return disk.path;
}

conformance('btrfs, a driver from outside', { module: driver, directory, skip, maxLayers: Number.POSITIVE_INFINITY });

describe('the btrfs driver', { skip }, () => {
  test('says that another file system is not btrfs', async () => {
    using elsewhere = tempDir('ext4');
    const probe = await driver.probe(elsewhere.path);
    assert.equal(probe.available, false);
    assert.match(probe.reason, /does not lie on btrfs/);
  });

  test('its probe makes and deletes subvolumes', async () => {
    const probe = await driver.probe(join(directory(), 'probe'));
    assert.equal(probe.available, true, probe.reason);
  });

  test('makes a whole store by the command line, which can be converted to and fro', async () => {
    const store = join(directory(), 'store');
    const example = join(root, 'examples/btrfs-driver/index.ts');
    const command: [string, string] = [process.execPath, join(root, 'bin/tslayer.cjs')];
    const run = async (...args: string[]): Promise<string> => {
      const { status, stdout, stderr } = await tslayer(['--root', store, ...args], { command });
      assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
      return stdout;
    };
    const tar = join(directory(), 'base.tar');
    writeFileSync(tar, await tarOf({ 'etc/motd': 'hello', 'etc/issue': 'x' }));
    await run('--driver', example, 'import', tar, 'base:1');
    const target = join(directory(), 'target');
    await run('mount', '--name', 'work', '--target', target, 'base:1');
    writeFileSync(join(target, 'written'), 'new');
    unlinkSync(join(target, 'etc/issue'));
    assert.match(await run('diff', 'work'), /^D \/etc\/issue\nA \/written {2}3 B$/m);
    const refused = await tslayer(['--root', store, 'convert', '--driver', 'erofs'], { command });
    assert.equal(refused.status, 7, refused.stderr);
    await run('commit', 'work', 'base:2');
    await run('umount', 'work');
    const other = await tslayer(['--root', store, '--driver', 'overlayfs', 'images'], { command });
    assert.equal(other.status, 2);
    assert.match(other.stderr, /made with the driver .*btrfs-driver.*\nhint: .*convert --driver overlayfs/);
    for (const driver of ['erofs', example, 'vfs', example]) {
      await run('convert', '--driver', driver);
      assert.equal(await run('cat', 'base:2', '/written'), 'new');
      await run('fsck');
    }
    await run('rmi', 'base:1', 'base:2');
    assert.doesNotMatch(execFileSync('btrfs', ['subvolume', 'list', directory()]).toString(), /store/);
  });

  test('a snapshot of much data takes no room, and goes with what a container nested in it', async () => {
    const opened = await driver.open(join(directory(), 'nested'));
    await opened.prepare('s1', []);
    const tree = join(directory(), 'nested/s1/tree');
    execFileSync('dd', ['if=/dev/urandom', `of=${tree}/data`, 'bs=1M', 'count=64', 'status=none']);
    execFileSync('sync', ['-f', tree]);
    const before = statfsSync(directory()).bfree;
    await opened.prepare('s2', ['s1']);
    execFileSync('sync', ['-f', tree]);
    const blocks = before - statfsSync(directory()).bfree;
    assert.ok(blocks * 4096 < 8 * 1024 * 1024, `${blocks} blocks`);
    execFileSync('btrfs', ['subvolume', 'create', join(directory(), 'nested/s2/tree/inner')], { stdio: 'ignore' });
    mkdirSync(join(directory(), 'nested/s2/tree/inner/full'));
    await opened.remove('s2');
    await opened.remove('s1');
    const left: string[] = [];
    for await (const id of opened.list()) left.push(id);
    assert.deepEqual(left, []);
  });
});
