/** kill -9 of the command itself, at a random moment of a pull: the same words once more succeed, nothing is left. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { packLayer } from '../../../scripts/demo/layout.ts';
import { detachBelow } from '../../../src/mounts/unmount.ts';
import { type Finished, tslayer } from '../../support/cli.ts';
import { baseLayer, type ImageServer, serveImages } from '../../support/image-server.ts';
import { requires, root } from '../../support/requires.ts';
import { checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const KILLS = 3;
let server: ImageServer;

before(async () => {
  const noise = await Promise.all(
    Array.from({ length: 4 }, (_, i) => packLayer([{ path: `noise/${i}`, content: randomBytes(3_000_000) }], `${i}`)),
  );
  server = await serveImages([{ name: 'app:1', layers: [await baseLayer(), ...noise] }]);
});

after(() => server[Symbol.asyncDispose]());

for (const driver of ['erofs', 'overlayfs', 'vfs']) {
  describe(`kill -9 of a pull with ${driver}`, () => {
    test(`${KILLS} times, then the pull that succeeds`, async (t) => {
      if (!requires(t, root)) return;
      using dir = tempDir('killed');
      t.after(() => detachBelow(dir.path));
      const store = join(dir.path, 'store');
      const name = `${server.host}/app:1`;
      const pull = (at: string, kill?: number): Promise<Finished> =>
        tslayer(['--root', join(dir.path, at), '--driver', driver, 'pull', name], {
          onStart: (child) => {
            if (kill !== undefined) void delay(kill).then(() => child.kill('SIGKILL'));
          },
        });
      const start = performance.now();
      assert.equal((await pull('undisturbed')).status, 0);
      const usual = performance.now() - start;
      for (let i = 0; i < KILLS; i++) await pull('store', usual * Math.random());

      const finished = await pull('store');
      assert.equal(finished.status, 0, finished.stderr);
      assert.equal((await tslayer(['--root', store, 'fsck'])).stdout, 'clean\n');
      await using opened = await openTestStore({ root: store, driver });
      await checkStore(opened);
    });
  });
}
