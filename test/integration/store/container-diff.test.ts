/** What a container's `diff` tells, and what an image that is made of it holds: the program's work, not the launcher's. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openTslayer, type Tslayer } from '../../../src/index.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { kernelFs, missing, program, root } from '../../support/requires.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';

const skip = missing(root, kernelFs('overlay'), program('busybox'));

for (const driver of ['erofs', 'overlayfs', 'vfs']) {
  describe(`a container's changes, ${driver}`, {
    skip: skip ?? (driver === 'erofs' && missing(kernelFs('erofs'))),
  }, () => {
    let directory: TempDir;
    let tslayer: Tslayer;

    before(async () => {
      directory = tempDir('container-diff');
      tslayer = await openTslayer({ root: join(directory.path, 'store'), driver });
      await tslayer.import(makeBusyboxTar(directory.path), 'system');
    });

    after(async () => {
      await tslayer[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    });

    async function changesOf(name: string, command: string[], volumes: string[] = []): Promise<string[]> {
      const run = await tslayer.run('system', { name, command, volumes });
      assert.equal((await run.exited).exitCode, 0);
      return (await tslayer.diff(name)).map(({ change, path }) => `${change} ${path}`);
    }

    test('are none where it wrote nothing, whatever the image lacks', async () => {
      assert.deepEqual(await changesOf('idle', ['true']), []);
      await tslayer.commit('idle', 'same');
      const [, own] = (await tslayer.layers('same')).layers;
      assert.equal(own?.files ?? 0, 0);
    });

    test('are what it wrote, also beside what was mounted', async () => {
      const changes = await changesOf('busy', ['sh', '-c', 'echo 1 > /etc/one; : > /two; echo x >> /etc/resolv.conf']);
      assert.deepEqual(changes.filter((line) => line.startsWith('added')).toSorted(), ['added etc/one', 'added two']);
      assert.ok(
        changes.every((line) => /^(added|modified) (|etc|etc\/one|two)$/.test(line)),
        changes.join(),
      );
    });

    test('tell of the places of volumes', async () => {
      const changes = await changesOf('bound', ['true'], [`${directory.path}:/mnt/here`]);
      assert.ok(changes.includes('added mnt/here'), changes.join());
    });
  });
}
