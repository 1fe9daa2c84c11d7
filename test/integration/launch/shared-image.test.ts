/** Containers of one image read it through one page cache: its files stay mounted on the host while any runs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerSpec, RunOptions } from '../../../src/launch/index.ts';
import { sweepStages } from '../../../src/mounts/shared-stages.ts';
import { buildImage } from '../../support/erofs-image.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { kernel, kernelFs, program, requires, root } from '../../support/requires.ts';

const needed = [root, program('busybox'), program('tar'), kernelFs('erofs'), kernelFs('overlay'), kernel(6, 12)];

describe('a shared image', () => {
  let kit: LaunchKit;
  let image: string;
  let stages: string;
  let serial = 0;
  before(() => {
    if (needed.some((requirement) => requirement() !== undefined)) return;
    kit = new LaunchKit();
    image = join(kit.directory('image'), 'layer.erofs');
    buildImage(execFileSync('tar', ['-C', kit.rootfs, '-c', '.'], { maxBuffer: 2 ** 26 }), image);
    stages = join(kit.root, 'run/stages');
  });
  after(() => kit?.[Symbol.asyncDispose]());

  const spec = (options: RunOptions): ContainerSpec => {
    const place = `snapshot-${serial++}`;
    const [upper, work] = [kit.directory(`${place}/upper`), kit.directory(`${place}/work`)];
    const options_ = ['lowerdir+=stage:layer', `upperdir=${upper}`, `workdir=${work}`];
    return {
      ...kit.spec(options),
      rootfs: {
        readOnly: false,
        mounts: [
          { type: 'erofs', source: image, options: ['ro'], stage: 'layer' },
          { type: 'overlay', source: 'overlay', options: options_ },
        ],
      },
    };
  };
  const deviceOf = (pid: number): string | undefined =>
    /^\d+ \d+ (\S+) \/ \/ .*lowerdir\+?=(\S+?),/m.exec(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'))?.[2];
  const mounted = (): number => readFileSync('/proc/self/mountinfo', 'utf8').split(stages).length - 1;

  test('is mounted once for all of them, and goes with the last', async (t) => {
    if (!requires(t, ...needed)) return;
    const first = await kit.launcher.start(spec({ command: ['sleep', '60'] }));
    const second = await kit.launcher.start(spec({ command: ['sleep', '60'] }));
    assert.equal(deviceOf(first.state.pid!), join(stages, 'layer'));
    assert.equal(deviceOf(second.state.pid!), join(stages, 'layer'));
    assert.equal(mounted(), 1);
    // Others sweep, too; they leave it alone.
    assert.deepEqual(sweepStages(stages), []);
    await kit.launcher.remove(first.id, { force: true });
    assert.equal(mounted(), 1);
    await kit.launcher.remove(second.id, { force: true });
    assert.equal(mounted(), 0);
    assert.deepEqual(
      readdirSync(stages).filter((name) => !name.startsWith('.')),
      [],
    );
  });

  test('goes when a watcher is killed and somebody looks', async (t) => {
    if (!requires(t, ...needed)) return;
    const { id } = await kit.launcher.start(spec({ command: ['sleep', '60'] }));
    const { watcher } = JSON.parse(readFileSync(join(kit.root, 'containers', id, 'state.json'), 'utf8')) as {
      watcher: { pid: number };
    };
    process.kill(watcher.pid, 'SIGKILL');
    while ((await kit.launcher.inspect(id)).state.status !== 'exited');
    assert.equal(mounted(), 0);
    await kit.launcher.remove(id);
  });

  test('serves user namespaces, with owners shifted in a copy', async (t) => {
    if (!requires(t, ...needed)) return;
    const shifted = spec({
      userns: '700000:700000:65536',
      command: ['sh', '-c', 'stat -c %u /bin/busybox; touch /new && echo made'],
    });
    const [layer, overlay] = shifted.rootfs.mounts;
    // As drivers emit it: upper and work directory on a shifted stage, too.
    const [, upper = ''] = /^upperdir=(.*)\/upper$/.exec(overlay!.options[1]!) ?? [];
    const options = ['lowerdir+=stage:layer', 'upperdir=stage:own/upper', 'workdir=stage:own/work'];
    const mounts = [
      { ...layer!, options: ['ro', 'idmap=/proc/self/fd/-1'] },
      { type: 'bind', source: upper, options: ['idmap=/proc/self/fd/-1'], stage: 'own' },
      { ...overlay!, options },
    ];
    const running = await kit.launcher.run(
      { ...shifted, rootfs: { ...shifted.rootfs, mounts } },
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let seen = '';
    for await (const chunk of running.stdout!) seen += String(chunk);
    assert.equal((await running.exited).exitCode, 0);
    assert.equal(seen, '0\nmade\n');
    assert.equal(mounted(), 0);
    await kit.launcher.remove(shifted.id);
  });
});
