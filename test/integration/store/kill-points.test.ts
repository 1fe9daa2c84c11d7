/**
 * kill -9 at the system calls that write, during every command that writes: afterwards the store is sound and the
 * command can be repeated. A sample of the points by default; TSLAYER_KILL_POINTS=all takes each of them.
 */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, isTslayerError } from '../../../src/errors.ts';
import { checkStore as fsck } from '../../../src/images/fsck/fsck.ts';
import { listMounts, unmountImage } from '../../../src/images/mount.ts';
import { findKillPoints, type KillPoint, killAt } from '../../support/kill-points.ts';
import { type LayoutRegistry, layoutRegistry } from '../../support/layout-registry.ts';
import { addImage } from '../../support/memory-images.ts';
import { kernel, program, requires, root } from '../../support/requires.ts';
import { type Step, startStoreChild } from '../../support/run-store-child.ts';
import { checkStore } from '../../support/store-check.ts';
import { perform } from '../../support/store-steps.ts';
import { type TempDir, tempDir } from '../../support/temp-dir.ts';
import { openTestStore } from '../../support/test-store.ts';

/** Points taken of each command unless all are. */
const SAMPLE = 5;

let registry: LayoutRegistry;
let directory: TempDir;
let image: string;
let other: string;

before(async () => {
  registry = await layoutRegistry();
  directory = tempDir('kill-points');
  const base = { 'etc/motd': 'hello' };
  const first = await addImage(registry.content, [base, { one: '1'.repeat(5000) }]);
  const second = await addImage(registry.content, [base, { two: '2' }]);
  registry.publish({ 'app:1': first.root, 'app:2': second.root });
  [image, other] = [`${registry.host}/app:1`, `${registry.host}/app:2`];
});

after(async () => {
  await registry[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
});

interface Scene {
  readonly driver: string;
  readonly command: string;
  /** What the store has been through. */
  readonly before: readonly Step[];
  readonly step: Step;
}

function scenes(): Scene[] {
  const commands: Omit<Scene, 'driver'>[] = [
    { command: 'pull into a new store', before: [], step: ['pull', image] },
    { command: 'pull beside another image', before: [['pull', other]], step: ['pull', image] },
    {
      command: 'rmi',
      before: [
        ['pull', image],
        ['pull', other],
      ],
      step: ['rmi', image],
    },
    { command: 'tag', before: [['pull', image]], step: ['tag', image, 'mine'] },
    {
      command: 'gc',
      before: [
        ['pull', image],
        ['pull', other],
        ['tag', other, 'x'],
        ['rmi', other],
      ],
      step: ['gc'],
    },
    { command: 'mount', before: [['pull', image]], step: ['mount', image, 'work'] },
    {
      command: 'umount',
      before: [
        ['pull', image],
        ['mount', image, 'work'],
      ],
      step: ['umount', 'work'],
    },
  ];
  return ['erofs', 'vfs'].flatMap((driver) => commands.map((command) => ({ driver, ...command })));
}

/** Every point, or as many as a quick run has time for, spread over all kinds. */
function chosen(points: readonly KillPoint[]): readonly KillPoint[] {
  if (process.env.TSLAYER_KILL_POINTS === 'all') return points;
  const stride = Math.max(1, points.length / SAMPLE);
  const start = Math.random() * stride;
  return points.filter((_, i) => Math.floor((i - start) / stride) !== Math.floor((i - 1 - start) / stride));
}

describe('kill -9 at a system call that writes', () => {
  for (const { driver, command, before: steps, step } of scenesLater()) {
    test(`${command}, ${driver}`, async (t) => {
      if (!requires(t, root, program('strace'), kernel(6, 12))) return;
      const play = stage(driver, steps());
      const points = await play(async (store) => findKillPoints({ store, steps: [step()] }));
      assert.ok(points.length > 10, `only ${points.length} points`);
      let killed = 0;
      for (const point of chosen(points)) {
        await play(async (store) => {
          if (await killAt({ store, steps: [step()] }, point)) killed++;
          await recovers(store, step()).catch((error: unknown) => {
            throw new Error(`after ${point.call} ${point.nth}: ${error}`, { cause: error });
          });
        });
      }
      // Threads share their work differently each time; most points are met all the same.
      assert.ok(killed > 0, 'no point was met');
      t.diagnostic(`${killed} kills at ${points.length} points`);
    });
  }
});

/** Names are known when the registry runs, tests when the file is read. */
function scenesLater(): { driver: string; command: string; before: () => readonly Step[]; step: () => Step }[] {
  return scenes().map(({ driver, command }, i) => ({
    driver,
    command,
    before: () => scenes()[i]!.before,
    step: () => scenes()[i]!.step,
  }));
}

type StoreAt = { readonly root: string; readonly driver: string };

/** Runs work on a store that has been through `steps`, each time on a fresh one. */
function stage(driver: string, steps: readonly Step[]): <T>(work: (store: StoreAt) => Promise<T>) => Promise<T> {
  return async (work) => {
    using scratch = tempDir('kill-point');
    const store = { root: `${scratch.path}/store`, driver };
    if (steps.length > 0) await prepare(store, steps);
    try {
      return await work(store);
    } finally {
      await using opened = await openTestStore(store);
      for (const mount of await listMounts(opened)) await unmountImage(opened, mount.name, { force: true });
    }
  };
}

const prepared = new Map<string, string>();

/** A copy of a store that was made once; mounts are made anew, since they do not copy. */
async function prepare(store: StoreAt, steps: readonly Step[]): Promise<void> {
  const lasting = steps.filter(([action]) => action !== 'mount');
  const key = JSON.stringify([store.driver, lasting]);
  let template = prepared.get(key);
  if (template === undefined) {
    template = `${directory.path}/template-${prepared.size}`;
    await startStoreChild({ store: { ...store, root: template }, steps: lasting }).result;
    prepared.set(key, template);
  }
  cpSync(template, store.root, { recursive: true, preserveTimestamps: true });
  const mounts = steps.filter(([action]) => action === 'mount');
  if (mounts.length > 0) await startStoreChild({ store, steps: mounts }).result;
}

async function recovers(at: StoreAt, step: Step): Promise<void> {
  await using store = await openTestStore(at);
  await checkStore(store, { resumable: true });
  const { problems } = await fsck(store);
  // What a crash may leave for the command's repetition: a mount that is recorded and was not made yet.
  assert.deepEqual(
    problems.filter(({ kind }) => kind !== 'mount'),
    [],
  );
  await perform(store, step).catch((error: unknown) => {
    // It had done its work, only not told.
    if (!isTslayerError(error, DONE[step[0]])) throw error;
  });
  await checkStore(store);
  assert.deepEqual((await fsck(store)).problems, []);
}

/** How a command fails that was done before. */
const DONE: Readonly<Partial<Record<Step[0], ErrorCode>>> = {
  rmi: 'NOT_FOUND',
  umount: 'NOT_FOUND',
  mount: 'ALREADY_EXISTS',
};
