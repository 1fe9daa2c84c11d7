/** What overlayfs alone decides: its options as the kernel shows them, and snapshots that nothing needs to outlive. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { dir, file } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { driver } from '../../../drivers/overlayfs/index.ts';
import { findMount } from '../../../src/mounts/mountinfo.ts';
import { kernel, kernelFs, missing, root } from '../../support/requires.ts';

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
