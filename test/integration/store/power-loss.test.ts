/**
 * Power loss: the store lies on a file system of its own; a process is killed at a system call that writes, and what
 * is on the disk then, without what the kernel still holds in memory, is mounted as a machine would find it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { findKillPoints, killAt } from '../../support/kill-points.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { cannotLoop, loopCopy, loopFs } from '../../support/loop-fs.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, program, requires } from '../../support/requires.ts';
import { type Step, startStoreChild } from '../../support/run-store-child.ts';
import { checkStore } from '../../support/store-check.ts';
import { openTestStore, pullFrom } from '../../support/test-store.ts';

const SAMPLE = process.env.TSLAYER_KILL_POINTS === 'all' ? Number.POSITIVE_INFINITY : 5;
const SIZE_MIB = 64;

async function publish(registry: LayoutRegistry): Promise<{ image: string; other: string }> {
  const base = { 'etc/motd': 'hello'.repeat(1000) };
  const first = await addImage(registry.content, [base, { one: '1'.repeat(50_000) }]);
  const second = await addImage(registry.content, [base, { two: '2' }]);
  registry.publish({ 'app:1': first.root, 'app:2': second.root });
  return { image: `${registry.host}/app:1`, other: `${registry.host}/app:2` };
}

interface Scene {
  readonly driver: string;
  readonly before: readonly Step[];
  readonly step: Step;
}

function scenes({ image, other }: { image: string; other: string }): Readonly<Record<string, Scene>> {
  return {
    'a pull, erofs': { driver: 'erofs', before: [['pull', other]], step: ['pull', image] },
    'a pull, overlayfs': { driver: 'overlayfs', before: [['pull', other]], step: ['pull', image] },
    'an rmi, erofs': {
      driver: 'erofs',
      before: [
        ['pull', other],
        ['pull', image],
      ],
      step: ['rmi', image],
    },
    'a tag, erofs': { driver: 'erofs', before: [['pull', image]], step: ['tag', image, 'mine'] },
  };
}

describe('power loss during', () => {
  for (const [name, { driver }] of Object.entries(scenes({ image: '', other: '' }))) {
    test(name, async (t) => {
      if (!requires(t, () => cannotLoop('ext4'), program('strace'), kernel(6, 12))) return;
      await using registry = await layoutRegistry();
      const images = await publish(registry);
      const { before, step } = scenes(images)[name] as Scene;
      using prepared = loopFs('ext4', SIZE_MIB);
      await startStoreChild({ store: { root: `${prepared.path}/store`, driver }, steps: before }).result;
      execFileSync('sync', ['-f', prepared.path]);
      const points = await onCopy(prepared.image, (path) =>
        findKillPoints({ store: { root: `${path}/store`, driver }, steps: [step] }),
      );
      const stride = Math.max(1, points.length / SAMPLE);
      for (let at = Math.random() * stride; at < points.length; at += stride) {
        const point = points[Math.floor(at)]!;
        try {
          await loseWithPower(prepared.image, driver, step, point, images);
        } catch (error) {
          throw new Error(`power lost at ${point.call} ${point.nth}: ${error}`, { cause: error });
        }
      }
    });
  }
});

async function onCopy<T>(disk: string, work: (path: string) => Promise<T>): Promise<T> {
  using copy = loopCopy('ext4', disk);
  return await work(copy.path);
}

async function loseWithPower(
  disk: string,
  driver: string,
  step: Step,
  point: { call: string; nth: number },
  { image, other }: { image: string; other: string },
): Promise<void> {
  using running = loopCopy('ext4', disk);
  await killAt({ store: { root: `${running.path}/store`, driver }, steps: [step] }, point);
  using found = loopCopy('ext4', running.image);
  const at = { root: `${found.path}/store`, driver };
  await using store = await openTestStore(at);
  await checkStore(store, { resumable: true, leftovers: true });
  const { problems } = await fsck(store);
  // Files whose directory reached the disk before their row: known to nobody, in nobody's way.
  assert.deepEqual(
    problems.filter(({ kind }) => kind !== 'leftover'),
    [],
  );
  for (const name of [image, other]) assert.equal((await pullFrom(store, name)).unpacked, true);
  const repaired = await fsck(store, { repair: true });
  assert.equal(repaired.clean, true);
  await checkStore(store);
}

test('what a pull has said it did is there after a power loss', async (t) => {
  if (!requires(t, () => cannotLoop('ext4'), kernel(6, 12))) return;
  await using registry = await layoutRegistry();
  const { image } = await publish(registry);
  using running = loopFs('ext4', SIZE_MIB);
  await startStoreChild({ store: { root: `${running.path}/store` }, steps: [['pull', image]] }).result;
  using found = loopCopy('ext4', running.image);
  await using store = await openTestStore({ root: `${found.path}/store` });
  assert.equal((await pullFrom(store, image)).status, 'present');
  await checkStore(store);
  assert.deepEqual((await fsck(store)).problems, []);
});
