/**
 * The driver from outside, on a real btrfs: loaded by its path as `--driver` does it, through the published interface
 * of the built package alone, and checked by the published suite.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, describe, test } from 'node:test';
import { cannotLoop, type LoopFs, loopFs } from '../../support/loop-fs.ts';
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
