/** overlayfs where `trusted.` attributes do not exist: as root of a user namespace, with `userxattr`. */
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { getXattr } from '../../../src/sys/xattr.ts';
import { giveToNamespace, inUserNamespace, userNamespaces } from '../../support/in-user-namespace.ts';
import { kernel, kernelFs, missing, program, root } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

const skip = missing(root, kernelFs('overlay'), kernel(5, 11), program('nsenter'), userNamespaces);

describe('overlayfs in a user namespace', { skip }, () => {
  test('layers, whiteouts, opaque directories and changes work by user attributes', async () => {
    using directory = tempDir('userns');
    chmodSync(directory.path, 0o755);
    giveToNamespace(directory.path);
    const script = join(import.meta.dirname, 'user-namespace-script.ts');
    const { status, output } = await inUserNamespace(script, directory.path);
    assert.equal(status, 0, output);
    assert.match(output, /all right/);
    const mark = (name: string): string | undefined =>
      getXattr(join(directory.path, 'layers/top/diff/o'), name)?.toString();
    assert.equal(mark('user.overlay.opaque'), 'y');
    assert.equal(mark('trusted.overlay.opaque'), undefined);
  });
});
