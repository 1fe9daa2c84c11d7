/**
 * kill -9 at the system calls that write, during a command that writes: afterwards the store is sound and the command
 * can be repeated. A sample of the points by default; TSLAYER_KILL_POINTS=all takes each of them.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { removeContainer, sweepContainers } from '../../src/containers/remove.ts';
import { type ErrorCode, isTslayerError } from '../../src/errors.ts';
import type { FindingKind } from '../../src/images/fsck/finding.ts';
import { checkStore as fsck } from '../../src/images/fsck/fsck.ts';
import { listMounts, unmountImage } from '../../src/images/mount.ts';
import type { OpenStore } from '../../src/images/store.ts';
import { createLauncher } from '../../src/launch/create-launcher.ts';
import { findKillPoints, type KillPoint, killAt } from './kill-points.ts';
import { kernel, program, requires, root, type Suite } from './requires.ts';
import { type Step, startStoreChild } from './run-store-child.ts';
import { checkStore } from './store-check.ts';
import { perform } from './store-steps.ts';
import { tempDir } from './temp-dir.ts';
import { openTestStore } from './test-store.ts';

export interface KillScene {
  readonly command: string;
  /** Default: erofs and vfs. */
  readonly drivers?: readonly string[] | undefined;
  /** What the store has been through. Called when the test runs. */
  readonly before: () => readonly Step[];
  /** @param place a directory of this one try's own */
  readonly step: (place: string) => Step;
  /** How it fails when it was done before, only not told. */
  readonly done?: ErrorCode | undefined;
  /** Found by fsck already before the command. */
  readonly known?: readonly FindingKind[] | undefined;
  /** Once more after the repetition. */
  readonly check?: ((store: OpenStore, place: string) => Promise<void> | void) | undefined;
}

/** Points taken of each command unless all are. */
const SAMPLE = 2;
/** Such steps cannot be copied with the store's directory. */
const LIVE: readonly Step[0][] = ['mount', 'run', 'start', 'damage'];

/** Every point, or as many as a quick run has time for, spread over all kinds. */
export function chosen(points: readonly KillPoint[]): readonly KillPoint[] {
  if (process.env.TSLAYER_KILL_POINTS === 'all') return points;
  const stride = Math.max(1, points.length / SAMPLE);
  const start = Math.random() * stride;
  return points.filter((_, i) => Math.floor((i - start) / stride) !== Math.floor((i - 1 - start) / stride));
}

/** A test for each scene and driver. */
export function killScenes({ name, needs = [] }: Suite, scenes: readonly KillScene[]): void {
  describe(name, () => {
    for (const scene of scenes) {
      for (const driver of scene.drivers ?? ['erofs', 'vfs']) {
        test(`${scene.command}, ${driver}`, async (t) => {
          if (!requires(t, root, program('strace'), kernel(6, 12), ...needs)) return;
          using templates = tempDir('kill-template');
          const play = stage(driver, scene.before(), templates.path);
          const points = await play((store, place) => findKillPoints({ store, steps: [scene.step(place)] }));
          assert.ok(points.length > 10, `only ${points.length} points`);
          const killed = await killAtEach(chosen(points), scene, play);
          // Threads share their work differently each time; most points are met all the same.
          assert.ok(killed > 0, 'no point was met');
          t.diagnostic(`${killed} kills at ${points.length} points`);
        });
      }
    }
  });
}

type StoreAt = { readonly root: string; readonly driver: string };
type Play = <T>(work: (store: StoreAt, place: string) => Promise<T>) => Promise<T>;

/** All failures are told at once: one run over all points is long. */
async function killAtEach(points: readonly KillPoint[], scene: KillScene, play: Play): Promise<number> {
  let killed = 0;
  const failures: string[] = [];
  for (const point of points) {
    await play(async (store, place) => {
      if (await killAt({ store, steps: [scene.step(place)] }, point)) killed++;
      await recovers(store, scene, place);
    }).catch((error: unknown) => {
      const place =
        error instanceof Error
          ? (error.stack
              ?.match(/\n +at \w.*/g)
              ?.slice(0, 3)
              .join('') ?? '')
          : '';
      failures.push(`after ${point.call} ${point.nth}: ${error}${place}`);
    });
  }
  if (failures.length > 0) throw new Error(failures.join('\n'));
  return killed;
}

/** Runs work on a store that has been through `steps`, each time on a fresh one. */
function stage(driver: string, steps: readonly Step[], templates: string): Play {
  const prepare = preparer(steps, `${templates}/store`);
  return async (work) => {
    using scratch = tempDir('kill-point');
    const store = { root: `${scratch.path}/store`, driver };
    try {
      if (steps.length > 0) await prepare(store);
      return await work(store, scratch.path);
    } finally {
      if (existsSync(store.root)) await strike(store);
    }
  };
}

/** What outlives a process goes. */
async function strike(at: StoreAt): Promise<void> {
  await using store = await openTestStore(at);
  const launcher = createLauncher({ root: at.root });
  for (const { id } of await launcher.list()) await removeContainer(store, launcher, id, { force: true });
  for (const mount of await listMounts(store)) await unmountImage(store, mount.name, { force: true });
}

/** A copy of a store that was made once, and from the first live step on all of them anew. */
function preparer(steps: readonly Step[], template: string): (store: StoreAt) => Promise<void> {
  const live = steps.findIndex(([action]) => LIVE.includes(action));
  const lasting = live === -1 ? steps : steps.slice(0, live);
  let made: Promise<unknown> | undefined;
  return async (store) => {
    if (lasting.length > 0) {
      made ??= startStoreChild({ store: { ...store, root: template }, steps: lasting }).result;
      await made;
      execFileSync('cp', ['-a', template, store.root]);
    }
    if (live !== -1) await startStoreChild({ store, steps: steps.slice(live) }).result;
  };
}

async function recovers(at: StoreAt, scene: KillScene, place: string): Promise<void> {
  {
    await using store = await openTestStore(at);
    const { known = [] } = scene;
    if (known.length === 0) await checkStore(store, { resumable: true });
    const { problems } = await fsck(store);
    // What a crash may leave for the command's repetition: a mount that is recorded and was not made yet.
    assert.deepEqual(
      problems.filter(({ kind }) => kind !== 'mount' && !known.includes(kind)),
      [],
    );
    await perform(store, scene.step(place)).catch((error: unknown) => {
      if (scene.done === undefined || !isTslayerError(error, scene.done)) throw error;
    });
    await sweepContainers(store, createLauncher({ root: at.root }));
  }
  // Opened anew: a conversion leaves the open store with the driver that it had.
  await using store = await openTestStore(at);
  await checkStore(store);
  assert.deepEqual((await fsck(store)).problems, []);
  assert.deepEqual(strangers(place), [], 'nothing lies beside the store');
  await scene.check?.(store, place);
}

/** What an interrupted writer left where people would see it. */
function strangers(place: string): string[] {
  return readdirSync(place).filter((name) => name.startsWith('.') || name.endsWith('.partial'));
}
