/**
 * Power loss: the store lies on a file system of its own; a process is killed at a system call that writes, or comes
 * to its end, and what is on the disk then, without what the kernel still holds in memory, is mounted as a machine
 * would find it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, isTslayerError } from '../../src/errors.ts';
import type { FindingKind } from '../../src/images/fsck/finding.ts';
import { checkStore as fsck } from '../../src/images/fsck/fsck.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { findKillPoints, type KillPoint, killAt } from './kill-points.ts';
import { chosen } from './kill-rig.ts';
import { cannotLoop, type LoopFs, loopCopy, loopFs } from './loop-fs.ts';
import { losePower } from './lost-containers.ts';
import { kernel, program, requires, type Suite } from './requires.ts';
import { type Step, startStoreChild } from './run-store-child.ts';
import { checkStore } from './store-check.ts';
import { perform } from './store-steps.ts';
import { openTestStore } from './test-store.ts';

export interface PowerScene {
  readonly command: string;
  /** Default: erofs. */
  readonly driver?: string;
  /** What the store has been through. Called when the test runs. */
  readonly before: () => readonly Step[];
  /** The command; its last step is the one in which the power goes. */
  readonly steps: () => readonly Step[];
  /** How it fails when it was done before, only not told. */
  readonly done?: ErrorCode;
  /** Found by fsck already before the command. */
  readonly known?: readonly FindingKind[];
  /** That what the command reported is there; also when it was done twice. */
  readonly reported: (store: OpenStore) => Promise<void> | void;
  /** The same of what is only there when it came to its end before the power went. */
  readonly lasting?: (store: OpenStore) => Promise<void> | void;
}

const SIZE_MIB = 64;

export function powerScenes({ name, needs = [] }: Suite, scenes: readonly PowerScene[]): void {
  describe(name, () => {
    for (const scene of scenes) {
      const { command, driver = 'erofs' } = scene;
      test(`${command}, ${driver}`, async (t) => {
        if (!requires(t, () => cannotLoop('ext4'), program('strace'), kernel(6, 12), ...needs)) return;
        using prepared = loopFs('ext4', SIZE_MIB);
        const at = (fs: LoopFs) => ({ root: `${fs.path}/store`, driver });
        await startStoreChild({ store: at(prepared), steps: scene.before() }).result;
        execFileSync('sync', ['-f', prepared.path]);
        const task = (fs: LoopFs) => ({ store: at(fs), steps: scene.steps() });
        const points = await onCopy(prepared, (fs) => findKillPoints(task(fs)));
        assert.ok(points.length > 10, `only ${points.length} points`);
        await onCopy(prepared, async (fs) => {
          await besideAnother(at(fs), () => startStoreChild(task(fs)).result);
          await losePower(fs, at(fs).root);
          await using store = await openTestStore(at(fs));
          await isSound(store, ['mount']);
          await scene.reported(store);
          await scene.lasting?.(store);
        });
        for (const point of chosen(points)) await loses(prepared, scene, point, at);
      });
    }
  });
}

export interface RunningScene {
  readonly command: string;
  readonly before: () => readonly Step[];
  /** It does not end by itself. */
  readonly step: () => Step;
  /** Whether it has come to where the power goes. */
  readonly until: (root: string) => boolean;
  readonly reported: PowerScene['reported'];
}

/** Power loss while a command runs undisturbed: whoever is killed lets go of mounts, which writes back what they hold. */
export function powerWhileRunning(name: string, scenes: readonly RunningScene[]): void {
  describe(name, () => {
    for (const { command, before, step, until, reported } of scenes) {
      test(command, async (t) => {
        if (!requires(t, () => cannotLoop('ext4'), kernel(6, 12), program('busybox'))) return;
        using fs = loopFs('ext4', SIZE_MIB);
        const store = { root: `${fs.path}/store`, driver: 'erofs' };
        await startStoreChild({ store, steps: before() }).result;
        execFileSync('sync', ['-f', fs.path]);
        const child = startStoreChild({ store, steps: [step()] });
        try {
          while (!until(store.root)) await Promise.race([delay(20), child.result.then(() => assert.fail('it ended'))]);
          await losePower(fs, store.root);
        } finally {
          child.process.kill('SIGKILL');
          await child.result.catch(() => undefined);
        }
        await using found = await openTestStore(store);
        await isSound(found, ['mount']);
        await reported(found);
      });
    }
  });
}

async function onCopy<T>(disk: LoopFs, work: (fs: LoopFs) => Promise<T>): Promise<T> {
  using copy = loopCopy('ext4', disk.image);
  return await work(copy);
}

/** While somebody else has the store open: the last one to close it would write everything back. */
async function besideAnother(store: ReturnType<StoreOn>, work: () => Promise<unknown>): Promise<void> {
  const idle = startStoreChild({ store, steps: [['idle']] });
  try {
    await idle.open;
    await work();
  } finally {
    idle.process.kill('SIGKILL');
    await idle.result.catch(() => undefined);
  }
}

type StoreOn = (fs: LoopFs) => { readonly root: string; readonly driver: string };

async function loses(disk: LoopFs, scene: PowerScene, point: KillPoint, at: StoreOn): Promise<void> {
  try {
    await onCopy(disk, async (fs) => {
      await killAt({ store: at(fs), steps: scene.steps() }, point);
      await losePower(fs, at(fs).root);
      await goesOn(scene, at(fs));
      await using store = await openTestStore(at(fs));
      assert.equal((await fsck(store, { repair: true })).clean, true);
      await checkStore(store);
      await scene.reported(store);
    });
  } catch (error) {
    throw new Error(`power lost at ${point.call} ${point.nth}: ${error}`, { cause: error });
  }
}

/** The store is sound, and the command can be repeated. */
async function goesOn({ steps, done, known = [] }: PowerScene, at: ReturnType<StoreOn>): Promise<void> {
  await using store = await openTestStore(at);
  // Files whose directory reached the disk before their row are known to nobody, and in nobody's way.
  await isSound(store, ['mount', 'leftover', ...known], { resumable: true, leftovers: true });
  for (const step of steps()) {
    await perform(store, step).catch((error: unknown) => {
      if (done === undefined || !isTslayerError(error, done)) throw error;
    });
  }
}

async function isSound(store: OpenStore, allowed: readonly FindingKind[], options = {}): Promise<void> {
  if (!allowed.includes('blob')) await checkStore(store, options);
  const { problems } = await fsck(store);
  assert.deepEqual(
    problems.filter(({ kind }) => !allowed.includes(kind)),
    [],
  );
}
