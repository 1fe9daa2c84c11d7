/** What overlayfs alone decides: its options as the kernel shows them, and snapshots that nothing needs to outlive. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dir, file } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { whyNoUpper } from '../../../drivers/overlay/upper.ts';
import { driver } from '../../../drivers/overlayfs/index.ts';
import { findMount } from '../../../src/mounts/mountinfo.ts';
import { cannotLoop, loopFs } from '../../support/loop-fs.ts';
import { kernel, kernelFs, missing, requires, root } from '../../support/requires.ts';

describe('overlayfs', { skip: missing(root, kernelFs('overlay'), kernel(5, 10)) }, () => {
  after(closeUnpacker);

  test('its features do not depend on the defaults of the kernel', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([dir(''), file('a')], [dir(''), file('b')]);
    const { path } = await kit.work(stack);
    const options = findMount(path)?.superOptions ?? [];
    assert.ok(options.includes('redirect_dir=nofollow'), options.join());
    // Shown only where they differ from the module's defaults.
    for (const bad of ['index=on', 'metacopy=on', 'redirect_dir=on', 'volatile', 'fsync=volatile', 'userxattr']) {
      assert.equal(options.includes(bad), false, bad);
    }
  });

  test('an ephemeral snapshot is volatile, and is not mounted a second time', async () => {
    await using kit = await Kit.open(driver);
    const stack = await kit.stack([dir(''), file('a')]);
    const id = await kit.snapshot(stack);
    const path = await kit.mount(id, stack, { ephemeral: true });
    assert.match(findMount(path)?.superOptions.join() ?? '', /volatile/); // newer kernels: fsync=volatile
    writeFileSync(join(path, 'b'), '');
    kit.unmount(path);
    await assert.rejects(kit.mount(id, stack), { code: 'FAILED', message: /ephemeral/ });
    await kit.driver.remove(id);
  });
});

test('a place is probed without a sync of all that is written there', (t) => {
  if (!requires(t, () => cannotLoop('ext4'), kernelFs('overlay'), kernel(6, 8))) return;
  using fs = loopFs('ext4', 128);
  writeFileSync(join(fs.path, 'written'), Buffer.alloc(8_000_000, 1));
  assert.equal(whyNoUpper(join(fs.path, 'store')), undefined);
  const device = basename(findMount(fs.path)?.source ?? '');
  const waiting = readFileSync(`/sys/fs/ext4/${device}/delayed_allocation_blocks`, 'utf8');
  assert.ok(Number(waiting) > 1000, `${waiting.trim()} blocks are still in memory alone`);
});
