/** What a container that is removed at its end writes never needs to reach the disk; what a crash leaves is not used. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { performMounts } from '../../../src/mounts/perform.ts';
import { makeBusyboxRootfs } from '../../support/busybox-rootfs.ts';
import { type CliOptions, type Finished, tslayer } from '../../support/cli.ts';
import { DRIVERS } from '../../support/each-driver.ts';
import { program, requires } from '../../support/requires.ts';
import { tempDir } from '../../support/temp-dir.ts';

interface Shown {
  readonly state: { readonly status: string; readonly pid?: number };
}

/** A store of this driver with the image `busybox`. */
async function storeWith(t: TestContext, driver: string) {
  const directory = tempDir('ephemeral');
  t.after(() => directory[Symbol.dispose]());
  const root = join(directory.path, 'store');
  const call = async (args: readonly string[], options?: CliOptions): Promise<Finished> => {
    const finished = await tslayer(['--root', root, '--driver', driver, ...args], options);
    assert.ok([0, 137].includes(finished.status), finished.stderr);
    return finished;
  };
  makeBusyboxRootfs(join(directory.path, 'rootfs'));
  const tar = join(directory.path, 'busybox.tar');
  execFileSync('tar', ['-cf', tar, '-C', join(directory.path, 'rootfs'), '.']);
  await call(['import', tar, 'busybox']);
  const list = async (): Promise<Shown[]> => JSON.parse((await call(['ps', '-a', '--json'])).stdout) as Shown[];
  return { root, call, list, path: directory.path };
}

/** The options of the overlay that a process sees as its root. */
function rootOptions(pid: number): string {
  const line = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n')[0] ?? '';
  assert.match(line, / \/ \/ /);
  return line.split(' - ')[1] ?? '';
}

async function runningPid(list: () => Promise<readonly Shown[]>): Promise<number> {
  for (let i = 0; i < 100; i++) {
    const pid = (await list()).find(({ state }) => state.status === 'running')?.state.pid;
    if (pid !== undefined) return pid;
    await delay(50);
  }
  throw new Error('no container runs');
}

for (const driver of ['erofs', 'overlayfs']) {
  describe(`on ${driver}`, { concurrency: false }, () => {
    test('an upper directory of run --rm is volatile, and is never used again after a crash', async (t) => {
      if (!requires(t, ...(DRIVERS[driver] ?? []), program('busybox'))) return;
      const { root, call, list, path } = await storeWith(t, driver);
      let kill = (): boolean => false;
      const run = call(['run', '--rm', 'busybox', 'sh', '-c', 'echo half > /file; sleep 60'], {
        onStart: (child) => {
          kill = () => child.kill('SIGKILL');
        },
      });
      const pid = await runningPid(list);
      const options = rootOptions(pid);
      assert.match(options, /volatile/);
      const upper = /upperdir=([^,]*)/.exec(options)?.[1] ?? '';
      kill();
      await run;
      while (existsSync(`/proc/${pid}`)) await delay(10);
      assert.ok(existsSync(join(upper, 'file')), 'what it wrote is still there');

      // Not even by hand: the kernel left its mark.
      const again = ['lowerdir+=/', `upperdir=${upper}`, `workdir=${join(upper, '../work')}`];
      const mount = { type: 'overlay', source: 'overlay', options: again };
      assert.throws(() => performMounts([mount], path), /EINVAL/);
      assert.deepEqual(await list(), []);
      assert.equal(existsSync(upper), false);
      assert.deepEqual(globSync(join(root, 'containers/*')), []);
    });

    test('that of a container that stays is not', async (t) => {
      if (!requires(t, ...(DRIVERS[driver] ?? []), program('busybox'))) return;
      const { call, list } = await storeWith(t, driver);
      await call(['run', '-d', '--name', 'stays', 'busybox', 'sleep', '60']);
      assert.doesNotMatch(rootOptions(await runningPid(list)), /volatile/);
      await call(['rm', '--force', 'stays']);
      const run = call(['run', '-d', '--rm', '--name', 'goes', 'busybox', 'sleep', '60']);
      await run;
      assert.match(rootOptions(await runningPid(list)), /volatile/);
      const [pid] = [await runningPid(list)];
      await call(['kill', 'goes']);
      while (existsSync(`/proc/${pid}`)) await delay(10);
      for (let i = 0; i < 100 && (await list()).length > 0; i++) await delay(50);
      assert.deepEqual(await list(), []);
    });
  });
}
