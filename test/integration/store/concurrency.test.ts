/** Eight processes do whatever comes to their minds with one store. TSLAYER_CHAOS_SECONDS makes it longer. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sweepContainers } from '../../../src/containers/remove.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { collectGarbage } from '../../../src/images/gc.ts';
import { listMounts, unmountImage } from '../../../src/images/mount.ts';
import { removeImages } from '../../../src/images/remove.ts';
import type { OpenStore } from '../../../src/images/store.ts';
import { createLauncher } from '../../../src/launch/create-launcher.ts';
import { serveRegistry } from '../../../src/serve/index.ts';
import { makeBusyboxTar } from '../../support/busybox-rootfs.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, program, type Requirement, requires, root } from '../../support/requires.ts';
import { type ChaosOptions, startStoreChild } from '../../support/run-store-child.ts';
import { checkEmpty, checkStore } from '../../support/store-check.ts';
import { tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

const SECONDS = Number(process.env.TSLAYER_CHAOS_SECONDS ?? 5);
const PROCESSES = 8;
const DRIVERS: Readonly<Record<string, readonly Requirement[]>> = {
  erofs: [root, kernel(6, 12), program('busybox')],
  overlayfs: [root, program('busybox')],
  vfs: [root, program('busybox')],
};

/** Four images that share their base. */
async function publish(registry: LayoutRegistry): Promise<readonly string[]> {
  const base = { 'etc/motd': 'hello', 'bin/tool': 'x'.repeat(200_000) };
  const names = ['a', 'b', 'c', 'd'];
  const images = names.map((name) => addImage(registry.content, [base, { name }, { [name]: name.repeat(50_000) }]));
  for (const [i, image] of (await Promise.all(images)).entries()) registry.publish({ [`${names[i]}:1`]: image.root });
  return names.map((name) => `${registry.host}/${name}:1`);
}

/** The outcomes of all processes, added up. */
async function rage(store: { root: string; driver: string }, options: ChaosOptions): Promise<Map<string, number>> {
  const children = Array.from({ length: PROCESSES }, () => startStoreChild({ store, steps: [['chaos', options]] }));
  const results = await Promise.allSettled(children.map((child) => child.result));
  const total = new Map<string, number>();
  for (const result of results) {
    if (result.status === 'rejected') throw result.reason;
    for (const [outcome, count] of Object.entries(result.value as Record<string, number>)) {
      total.set(outcome, (total.get(outcome) ?? 0) + count);
    }
  }
  return total;
}

async function endAll(store: OpenStore): Promise<void> {
  await sweepContainers(store, createLauncher({ root: store.paths.root }));
  for (const mount of await listMounts(store)) await unmountImage(store, mount.name, { force: true });
}

describe('pull, build, run, move and remove images from eight processes', () => {
  for (const [driver, needs] of Object.entries(DRIVERS)) {
    test(`with ${driver}: nobody is surprised and the store is sound`, async (t) => {
      if (!requires(t, ...needs)) return;
      using directory = tempDir('chaos');
      await using registry = await layoutRegistry();
      const images = await publish(registry);
      const system = makeBusyboxTar(directory.path);
      const writable = await serveRegistry({ layoutDir: `${directory.path}/pushed`, writable: true });
      const place = `${directory.path}/saved`;
      const store = { root: `${directory.path}/store`, driver };
      const milliseconds = SECONDS * 1000;
      await startStoreChild({ store, steps: images.map((image) => ['pull', image]) }).result;
      try {
        const outcomes = await rage(store, { milliseconds, images, system, place, registry: writable.host });
        const told = [...outcomes].sort().map(([outcome, count]) => `${outcome}: ${count}`);
        t.diagnostic(told.join(', '));
        for (const step of ['pull', 'gc', 'import']) assert.ok(outcomes.has(`${step} done`), told.join(', '));
        await using opened = await openTestStore(store);
        // A push whose image another process removes meanwhile fails.
        await checkStore(opened, { unfinishedPushes: true });
        assert.deepEqual((await fsck(opened)).problems, []);
      } finally {
        await writable.close();
        await using opened = await openTestStore(store);
        await endAll(opened);
      }
      await using opened = await openTestStore(store);
      for (const image of opened.metadata.images.list()) await removeImages(opened, [image.name]);
      await collectGarbage(opened, { interrupted: true });
      await checkEmpty(opened);
    });
  }
});
