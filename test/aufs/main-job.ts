/** Pull, mount, diff, commit, run and convert with the driver aufs, as a user does it. Started by `run`. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { packLayer } from '../../scripts/demo/layout.ts';
import { unionsNow } from '../../src/mounts/aufs-unions.ts';
import { detachBelow } from '../../src/mounts/unmount.ts';
import { tslayer } from '../support/cli.ts';
import { baseLayer, type ImageServer, serveImages } from '../support/image-server.ts';
import { tempDir } from '../support/temp-dir.ts';

let server: ImageServer;
let app: string;

before(async () => {
  const first = await packLayer(
    [
      { path: 'app/' },
      { path: 'app/greeting', content: 'hello\n' },
      { path: 'app/old', content: 'old\n' },
      { path: 'app/cache/' },
      { path: 'app/cache/stale', content: 'stale\n' },
    ],
    'app',
  );
  const second = await packLayer(
    [
      { path: 'app/.wh.old' },
      { path: 'app/greeting', content: 'good evening\n' },
      { path: 'app/cache/' },
      { path: 'app/cache/.wh..wh..opq' },
      { path: 'app/cache/fresh', content: 'fresh\n' },
    ],
    'second',
  );
  const config = { Env: ['PATH=/bin'], WorkingDir: '/app', Cmd: ['cat', 'greeting'] };
  server = await serveImages([{ name: 'demo/app:1', layers: [await baseLayer(), first, second], config }]);
  app = `${server.host}/demo/app:1`;
});

after(() => server[Symbol.asyncDispose]());

type Run = (...args: string[]) => Promise<string>;

/** Commands on a store of the test's own, which is checked and removed with it; their output. */
function newStore(t: TestContext): { readonly run: Run; readonly root: string; readonly path: string } {
  const directory = tempDir('aufs-job');
  const root = join(directory.path, 'store');
  const run: Run = async (...args) => {
    const { status, stdout, stderr } = await tslayer(['--root', root, ...args], { timeout: 600_000 });
    assert.equal(status, 0, `${args.join(' ')}: ${stderr}`);
    return stdout.trimEnd();
  };
  t.after(() => {
    detachBelow(directory.path);
    directory[Symbol.dispose]();
  });
  return { run, root, path: directory.path };
}

const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '');

describe('with --driver aufs', () => {
  test('drivers and info tell that it works here', async (t) => {
    const { run } = newStore(t);
    const drivers = JSON.parse(await run('drivers', '--json')) as {
      name: string;
      available: boolean;
      reason: string;
    }[];
    const aufs = drivers.find(({ name }) => name === 'aufs');
    assert.equal(aufs?.available, true, aufs?.reason);
  });

  test('an image is pulled, mounted, written to, compared and committed, and the new one shows it all', async (t) => {
    const { run, path } = newStore(t);
    await run('--driver', 'aufs', 'pull', app);
    assert.match(await run('info'), /aufs/);
    const target = join(path, 'target');
    mkdirSync(target);
    await run('mount', '--name', 'work', '--target', target, app);
    assert.deepEqual(readdirSync(join(target, 'app')).sort(), ['cache', 'greeting']);
    assert.deepEqual(readdirSync(join(target, 'app/cache')), ['fresh']);
    appendFileSync(join(target, 'app/greeting'), 'and more\n');
    unlinkSync(join(target, 'app/cache/fresh'));
    mkdirSync(join(target, 'app/new'));
    writeFileSync(join(target, 'app/new/a'), 'a\n');
    linkSync(join(target, 'app/new/a'), join(target, 'app/b'));
    const told = linesOf(await run('diff', 'work'));
    for (const line of [/greeting\b/, /cache\/fresh$/, /new\/a\b/, /app\/b\b/]) {
      assert.ok(
        told.some((each) => line.test(each)),
        `${line} in ${told.join(' | ')}`,
      );
    }
    assert.ok(!told.some((line) => line.includes('.wh.')), told.join(' | '));
    await run('commit', 'work', 'demo/more');
    await run('umount', 'work');
    assert.equal(await run('run', '--rm', 'demo/more'), 'good evening\nand more');
    assert.equal(await run('run', '--rm', 'demo/more', 'ls', 'cache'), '');
    await run('fsck');
    assert.deepEqual(unionsNow(), []);
  });

  test('a link that a container copies up by half is whole in what is committed of it', async (t) => {
    const { run } = newStore(t);
    await run('--driver', 'aufs', 'pull', app);
    await run('run', '--name', 'one', app, 'sh', '-c', 'mkdir d && echo x > d/a && ln d/a d/b && ln d/a c');
    await run('commit', 'one', 'demo/links');
    await run('run', '--name', 'two', 'demo/links', 'sh', '-c', 'echo y >> d/a');
    await run('commit', 'two', 'demo/written');
    const script = 'cat c && stat -c %h,%i d/a d/b c | sort -u';
    assert.match(await run('run', '--rm', 'demo/written', 'sh', '-c', script), /^x\ny\n3,\d+$/);
    // And of one that runs, and of one that ran detached.
    const id = await run('run', '-d', '--name', 'three', 'demo/links', 'sh', '-c', 'echo z >> d/b && sleep 600');
    assert.match(id, /^[0-9a-f]{12}/);
    for (let tries = 0; (await run('exec', 'three', 'cat', 'd/b')) !== 'x\nz'; tries++) assert.ok(tries < 20);
    await run('commit', 'three', 'demo/running');
    await run('stop', '--time', '0', 'three');
    await run('commit', 'three', 'demo/stopped');
    for (const image of ['demo/running', 'demo/stopped']) {
      assert.match(await run('run', '--rm', image, 'sh', '-c', script), /^x\nz\n3,\d+$/, image);
    }
    await run('rm', 'one', 'two', 'three');
    await run('fsck');
    assert.deepEqual(unionsNow(), []);
  });

  test('sixteen processes mount one image at once, and each has what it writes', async (t) => {
    const { run, path } = newStore(t);
    await run('--driver', 'aufs', 'pull', app);
    const targets = Array.from({ length: 16 }, (_, at) => join(path, `target${at}`));
    for (const target of targets) mkdirSync(target);
    await Promise.all(targets.map((target, at) => run('mount', '--name', `m${at}`, '--target', target, app)));
    for (const target of targets) writeFileSync(join(target, 'app/own'), target);
    for (const target of targets) assert.equal(readFileSync(join(target, 'app/own'), 'utf8'), target);
    await run('umount', ...targets.map((_, at) => `m${at}`));
    await run('fsck');
  });

  test('views are read-only', async (t) => {
    const { run, path } = newStore(t);
    await run('--driver', 'aufs', 'pull', app);
    const target = join(path, 'view');
    mkdirSync(target);
    await run('mount', '--read-only', '--name', 'view', '--target', target, app);
    assert.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
    assert.equal(readFileSync(join(target, 'app/greeting'), 'utf8'), 'good evening\n');
    await run('umount', 'view');
  });

  test('a store goes to aufs and from it, and shows the same', async (t) => {
    const { run, path } = newStore(t);
    await run('--driver', 'vfs', 'pull', app);
    const shown = async (driver: string): Promise<number> => {
      if (driver !== 'vfs') await run('convert', '--driver', driver);
      const target = join(path, driver);
      mkdirSync(target);
      await run('mount', '--name', driver, '--target', target, app);
      assert.deepEqual(readdirSync(join(target, 'app')).sort(), ['cache', 'greeting']);
      assert.deepEqual(readdirSync(join(target, 'app/cache')), ['fresh']);
      const { size } = statSync(join(target, 'app/greeting'));
      await run('umount', driver);
      await run('fsck');
      return size;
    };
    const sizes = [await shown('vfs'), await shown('aufs'), await shown('overlayfs')];
    await run('convert', '--driver', 'aufs');
    assert.deepEqual(sizes, [13, 13, 13]);
    assert.equal(await run('run', '--rm', app), 'good evening');
  });

  test('a pull that is killed leaves what the next one goes on from', async (t) => {
    const { run, root } = newStore(t);
    const start = performance.now();
    await newStore(t).run('--driver', 'aufs', 'pull', app);
    const whole = performance.now() - start;
    for (const part of [0.5, 0.6, 0.7, 0.8, 0.9]) {
      const { status } = await tslayer(['--root', root, '--driver', 'aufs', 'pull', app], {
        onStart: (child) => void setTimeout(() => child.kill('SIGKILL'), whole * part),
      });
      t.diagnostic(`killed after ${part} of ${Math.round(whole)} ms: ${status}`);
    }
    await run('--driver', 'aufs', 'pull', app);
    await run('fsck');
    assert.equal(await run('run', '--rm', app), 'good evening');
    const left = readdirSync(join(root, 'layers/.underway'));
    assert.deepEqual(left, []);
  });
});
