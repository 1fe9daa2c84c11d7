/** Owners shifted for a container with a user namespace: no layer is copied or chowned, nothing shifted is stored. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { dir, file } from '../../../drivers/conformance/items.ts';
import { closeUnpacker, Kit } from '../../../drivers/conformance/kit.ts';
import { driver as erofs } from '../../../drivers/erofs/index.ts';
import { driver as overlayfs } from '../../../drivers/overlayfs/index.ts';
import { driver as vfs } from '../../../drivers/vfs/index.ts';
import { erofsMerged } from '../../support/erofs-merged.ts';
import { holdUserNamespace, type NamespaceHolder, userNamespaces } from '../../support/in-user-namespace.ts';
import { kernel, kernelFs, missing, program, root } from '../../support/requires.ts';

const skip = missing(root, kernelFs('overlay'), kernelFs('erofs'), kernel(6, 12), program('nsenter'), userNamespaces);

describe('owners are shifted for a user namespace', { skip }, () => {
  let holder: NamespaceHolder;
  let namespace: number;

  before(async () => {
    holder = await holdUserNamespace();
    namespace = openSync(`/proc/${holder.pid}/ns/user`, 'r');
  });

  after(async () => {
    closeSync(namespace);
    holder[Symbol.dispose]();
    await closeUnpacker();
  });

  function inside(directory: string, script: string): string {
    const enter = ['-t', String(holder.pid), '--user', '-S', '0', '-G', '0', 'sh', '-ec', script];
    return execFileSync('nsenter', enter, { cwd: directory, encoding: 'utf8' }).trim();
  }

  for (const [name, module] of Object.entries({ overlayfs, erofs, 'merged erofs': erofsMerged, vfs })) {
    test(`by ${name}`, async () => {
      await using kit = await Kit.open(module);
      chmodSync(kit.directory, 0o755);
      const stack = await kit.stack(
        [dir(''), dir('d'), file('d/a', 'a', { uid: 7 }), file('f')],
        [dir(''), dir('d'), file('d/b')],
      );
      const untouched = await kit.view(stack);
      const id = await kit.snapshot(stack);
      const target = await kit.mount(id, stack, { userNamespaceFd: namespace });
      chmodSync(kit.path('mnt'), 0o755);
      assert.deepEqual([statSync(join(target, 'f')).uid, statSync(join(target, 'd/a')).uid], [100_000, 100_007]);
      const said = inside(target, 'stat -c %u f d/a; echo more >> f; rm d/b; mkdir new; : > new/x; chown 33 new/x');
      assert.deepEqual(said.split('\n'), ['0', '7']);
      assert.equal(statSync(join(target, 'new/x')).uid, 100_033);
      assert.deepEqual(readdirSync(join(target, 'd')), ['a']);
      const owners: string[] = [];
      for await (const change of kit.driver.changes(id, stack)) {
        if (change.kind === 'deleted') owners.push(`- ${Buffer.from(change.path)}`);
        else if (change.kind !== 'opaque') owners.push(`${Buffer.from(change.entry.path)} ${change.entry.uid}`);
      }
      assert.deepEqual(owners, [' 0', 'd 0', '- d/b', 'f 0', 'new 0', 'new/x 33']);
      kit.unmount(target);
      const view = await kit.mount(undefined, stack, { userNamespaceFd: namespace });
      assert.deepEqual([statSync(view).uid, statSync(join(view, 'd/a')).uid], [100_000, 100_007]);
      kit.unmount(view);
      assert.deepEqual(await kit.view(stack), untouched);
    });
  }
});
