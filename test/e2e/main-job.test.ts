/** Pull, mount, run, and what belongs to them, as a user does it. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { packLayer } from '../../scripts/demo/layout.ts';
import { detachBelow } from '../../src/mounts/unmount.ts';
import { events, type Finished, tslayer } from '../support/cli.ts';
import { baseLayer, type ImageServer, serveImages } from '../support/image-server.ts';
import { requires, root } from '../support/requires.ts';
import { tempDir } from '../support/temp-dir.ts';

let server: ImageServer;
let app: string;

before(async () => {
  const base = await baseLayer();
  const first = await packLayer([{ path: 'app/' }, { path: 'app/greeting', content: 'hello\n' }], 'app');
  const second = await packLayer([{ path: 'app/greeting', content: 'good evening\n' }], 'second');
  const config = { Env: ['PATH=/bin', 'COLOR=blue'], WorkingDir: '/app', Cmd: ['cat', 'greeting'] };
  server = await serveImages([
    { name: 'demo/app:1', layers: [base, first], config },
    { name: 'demo/app:2', layers: [base, first, second], config },
    { name: 'library/hub:latest', layers: [base], config },
  ]);
  app = `${server.host}/demo/app`;
});

after(() => server[Symbol.asyncDispose]());

/** A store of the test's own; its mounts are taken away with it. */
function newStore(t: TestContext): (...args: string[]) => Promise<Finished> {
  const dir = tempDir('e2e');
  const run = (...args: string[]): Promise<Finished> => tslayer(['--root', join(dir.path, 'store'), ...args]);
  t.after(async () => {
    const isEmpty = (name: string): boolean => {
      const path = join(dir.path, 'store', name);
      return !existsSync(path) || readdirSync(path).every((entry) => entry.startsWith('.'));
    };
    const names = async (...list: string[]): Promise<string[]> =>
      (await run(...list)).stdout.split('\n').filter((name) => name !== '');
    if (!isEmpty('containers')) await run('rm', '--force', ...(await names('ps', '-aq')));
    if (!isEmpty('mounts')) await run('umount', '--force', ...(await names('mounts', '-q')));
    detachBelow(dir.path);
    dir[Symbol.dispose]();
  });
  return run;
}

async function succeed(result: Promise<Finished>): Promise<string> {
  const { status, stdout, stderr } = await result;
  assert.equal(status, 0, stderr);
  return stdout;
}

describe('pull', () => {
  test('prints what it verified as the last line, and nothing else on stdout', async (t) => {
    const run = newStore(t);
    const stdout = await succeed(run('pull', '--no-unpack', `${app}:1`));
    assert.match(stdout, new RegExp(`^${app}@sha256:[0-9a-f]{64}\n$`));
    assert.equal(await succeed(run('pull', '--no-unpack', stdout.trim())), stdout);
  });

  test('of an image that is there makes one request', async (t) => {
    if (!requires(t, root)) return;
    const run = newStore(t);
    await succeed(run('pull', `${app}:1`));
    const before = server.requests.length;
    await succeed(run('pull', `${app}:1`));
    assert.deepEqual(
      server.requests.slice(before).map(({ method, path }) => `${method} ${path}`),
      ['HEAD /v2/demo/app/manifests/1'],
    );
  });

  test('of an image that shares layers fetches only what is new', async (t) => {
    const run = newStore(t);
    await succeed(run('pull', '--no-unpack', `${app}:1`));
    const before = server.requests.length;
    await succeed(run('pull', '--no-unpack', `${app}:2`));
    const blobs = server.requests.slice(before).filter(({ path }) => path.includes('/blobs/'));
    assert.equal(blobs.length, 2, 'a config and a layer');
  });

  test('asks a mirror for a name of Docker Hub', async (t) => {
    const run = newStore(t);
    using dir = tempDir('e2e');
    const config = join(dir.path, 'config.toml');
    writeFileSync(config, `[registries.mirrors]\n"docker.io" = ["http://${server.host}"]\n`);
    const stdout = await succeed(run('--config', config, 'pull', '--no-unpack', 'hub'));
    assert.match(stdout, /^docker\.io\/library\/hub@sha256:/);
    assert.match(await succeed(run('images')), /\nhub:latest /);
  });

  test('with --json tells events, and the result last', async (t) => {
    const run = newStore(t);
    const told = events(await succeed(run('--json', 'pull', '--no-unpack', `${app}:1`)));
    assert.equal(told[0]?.type, 'resolved');
    assert.ok(told.some(({ type, state }) => type === 'layer' && state === 'done'));
    const result = told.at(-1);
    assert.equal(result?.type, 'result');
    assert.equal(result?.status, 'new');
    assert.match(String(result?.reference), new RegExp(`^${app}@sha256:`));
  });

  test('that is quiet says nothing but its result', async (t) => {
    const run = newStore(t);
    const { stdout, stderr } = await run('-q', 'pull', '--no-unpack', `${app}:1`);
    assert.equal(stderr, '');
    assert.match(stdout, /@sha256:/);
  });

  test('elsewhere than on a terminal is told in plain lines', async (t) => {
    const run = newStore(t);
    const { stderr } = await run('pull', '--no-unpack', `${app}:1`);
    assert.match(stderr, /\n2 of 2 layers are new \(.*\)\n/);
    assert.match(stderr, /\n[0-9a-f]{12}: done \(.*\)\n/);
    assert.ok(!stderr.includes('\x1b') && !stderr.includes('\r'));
  });
});

describe('an interrupted pull', () => {
  test('ends with status 130 and one line, and the next one goes on', async () => {
    await using slow = await serveImages([
      { name: 'big:1', layers: [await packLayer([{ path: 'noise', content: randomBytes(4_000_000) }], 'noise')] },
    ]);
    using dir = tempDir('e2e');
    const config = join(dir.path, 'config.toml');
    writeFileSync(config, '[network]\nbytesPerSecond = 1000000\n');
    const args = ['--root', join(dir.path, 'store'), '--config', config, 'pull', '--no-unpack', `${slow.host}/big:1`];
    const stop = (child: ChildProcess): void => {
      child.stderr?.on(
        'data',
        (data) => String(data).includes('are new') && setTimeout(() => child.kill('SIGINT'), 1500),
      );
    };
    const interrupted = await tslayer(args, { onStart: stop });
    assert.equal(interrupted.status, 130, interrupted.stderr);
    assert.match(interrupted.stderr, /\ntslayer: interrupted\n$/);
    const before = slow.requests.length;
    assert.equal((await tslayer(args)).status, 0);
    const ranges = slow.requests.slice(before).map(({ range }) => range);
    assert.ok(
      ranges.some((range) => /^bytes=[1-9]/.test(range ?? '')),
      `ranges ${ranges.join()}`,
    );
  });
});

describe('the image store', () => {
  test('lists, inspects, tags and removes', async (t) => {
    const run = newStore(t);
    await succeed(run('pull', '--no-unpack', `${app}:1`));
    const [image] = JSON.parse(await succeed(run('images', '--json'))) as {
      id: string;
      name: string;
      layers: number;
    }[];
    assert.equal(image?.name, `${app}:1`);
    assert.equal(image?.layers, 2);
    const id = image?.id.slice(7, 19) ?? '';
    assert.equal(await succeed(run('images', '-q')), `${id}\n`);

    const [details] = JSON.parse(await succeed(run('inspect', id))) as { config: { config: { Cmd: string[] } } }[];
    assert.deepEqual(details?.config.config.Cmd, ['cat', 'greeting']);
    const history = JSON.parse(await succeed(run('history', '--json', id))) as { createdBy: string }[];
    assert.deepEqual(
      history.map((step) => step.createdBy),
      ['app', 'base'],
    );

    await succeed(run('tag', id, 'mine:7'));
    assert.match(await succeed(run('rmi', `${app}:1`)), /^untagged .*\n$/);
    assert.match(await succeed(run('images')), /^NAME .*\nmine:7 /);
    assert.match(await succeed(run('rmi', 'mine:7')), /\ndeleted sha256:/);
    assert.equal((await run('rmi', 'mine:7')).status, 3);
  });

  test('shows files of images that are not mounted', async (t) => {
    const run = newStore(t);
    await succeed(run('pull', '--no-unpack', `${app}:1`));
    await succeed(run('pull', '--no-unpack', `${app}:2`));
    assert.equal(await succeed(run('cat', `${app}:1`, '/app/greeting')), 'hello\n');
    assert.match(await succeed(run('ls', `${app}:1`, '/app')), /^-rw-r--r-- {2}0:0 {2}6 {2}.* {2}\/app\/greeting\n$/);
    assert.match(await succeed(run('diff', `${app}:1`, `${app}:2`)), /^C \/app\/greeting {2}13 B {2}\(content\)\n$/);
    assert.equal((await run('cat', `${app}:1`, '/none')).status, 3);
    const { layers } = JSON.parse(await succeed(run('layers', '--json', `${app}:2`))) as { layers: unknown[] };
    assert.equal(layers.length, 3);
  });

  test('comes back from an archive with the same digests', async (t) => {
    const [run, other] = [newStore(t), newStore(t)];
    using dir = tempDir('e2e');
    const file = join(dir.path, 'both.tar');
    const pulled = await succeed(run('pull', '--no-unpack', `${app}:1`));
    await succeed(run('pull', '--no-unpack', `${app}:2`));
    await succeed(run('save', '-o', file, `${app}:1`, `${app}:2`));
    const loaded = await succeed(other('load', '--no-unpack', '-i', file));
    assert.equal(loaded.split('\n')[0], pulled.trim());
  });

  test('tells what is shared', async (t) => {
    const run = newStore(t);
    await succeed(run('pull', '--no-unpack', `${app}:1`));
    await succeed(run('pull', '--no-unpack', `${app}:2`));
    const usage = JSON.parse(await succeed(run('df', '--json'))) as {
      images: { blobs: { shared: { bytes: number }; unique: { bytes: number } } }[];
    };
    assert.equal(usage.images.length, 2);
    for (const { blobs } of usage.images) assert.ok(blobs.shared.bytes > blobs.unique.bytes);
  });
});

test('a commit is unpacked when it is first used, or at once when that is wanted', async (t) => {
  if (!requires(t, root)) return;
  const run = newStore(t);
  await succeed(run('pull', `${app}:1`));
  const target = (await succeed(run('mount', '--name', 'box', `${app}:1`))).trim();
  writeFileSync(join(target, 'app/greeting'), 'changed\n');
  const commit = async (...args: string[]): Promise<boolean> => {
    const lines = events(await succeed(run('commit', '--json', ...args)));
    return (lines.at(-1) as { unpacked?: boolean }).unpacked ?? false;
  };
  assert.equal(await commit('box', 'later:1'), false);
  const later = (await succeed(run('mount', 'later:1'))).trim();
  assert.equal(readFileSync(join(later, 'app/greeting'), 'utf8'), 'changed\n');
  writeFileSync(join(target, 'app/greeting'), 'changed again\n');
  assert.equal(await commit('--unpack', 'box', 'now:1'), true);
});

for (const driver of ['erofs', 'overlayfs', 'vfs']) {
  describe(`mount with ${driver}`, () => {
    test('is writable, survives the process, and is seen by no other mount', async (t) => {
      if (!requires(t, root)) return;
      const bare = newStore(t);
      const run = (...args: string[]): Promise<Finished> => bare('--driver', driver, ...args);
      await succeed(run('pull', `${app}:1`));
      const one = (await succeed(run('mount', '--name', 'one', `${app}:1`))).trim();
      const two = (await succeed(run('mount', `${app}:1`))).trim();
      writeFileSync(join(one, 'app/greeting'), 'changed\n');
      writeFileSync(join(one, 'app/new'), 'new\n');
      rmSync(join(one, 'etc/os-release'));
      assert.equal(readFileSync(join(two, 'app/greeting'), 'utf8'), 'hello\n');
      const changes = await succeed(run('diff', 'one'));
      for (const line of ['C /app/greeting  8 B', 'A /app/new  4 B', 'D /etc/os-release']) {
        assert.ok(changes.split('\n').includes(line), `${line} in ${changes}`);
      }
      const mounts = JSON.parse(await succeed(run('mounts', '--json'))) as { name: string; state: string }[];
      assert.deepEqual(
        mounts.map(({ state }) => state),
        ['mounted', 'mounted'],
      );

      const inUse = await run('rmi', `${app}:1`);
      assert.equal(inUse.status, 7, inUse.stderr);
      assert.match(inUse.stderr, /is mounted at .*\nhint: unmount it first: tslayer umount /);

      await succeed(run('umount', '--keep', 'one'));
      assert.ok(!existsSync(join(one, 'app')));
      const again = (await succeed(run('mount', '--name', 'one', `${app}:1`))).trim();
      assert.equal(readFileSync(join(again, 'app/greeting'), 'utf8'), 'changed\n');
      await succeed(run('umount', 'one', two));
      assert.equal(await succeed(run('mounts', '-q')), '');
    });

    test('read-only refuses writes', async (t) => {
      if (!requires(t, root)) return;
      const bare = newStore(t);
      await succeed(bare('--driver', driver, 'pull', `${app}:1`));
      const target = (await succeed(bare('mount', '--read-only', `${app}:1`))).trim();
      assert.throws(() => writeFileSync(join(target, 'app/new'), 'x'), { code: 'EROFS' });
      assert.equal(readFileSync(join(target, 'app/greeting'), 'utf8'), 'hello\n');
    });
  });
}

describe('run', () => {
  const cases: [string, string[], number, RegExp][] = [
    ["runs the image's own command", [], 0, /^hello\n$/],
    ["ends with the program's status", ['sh', '-c', 'exit 7'], 7, /^$/],
    ['sees environment and working directory of the image', ['sh', '-c', 'echo $COLOR; pwd'], 0, /^blue\n\/app\n$/],
    ['tells a program that is not there', ['nonsense'], 127, /^$/],
    ['tells a file that is no program', ['/app/greeting'], 126, /^$/],
  ];
  test('in all its ways', async (t) => {
    if (!requires(t, root)) return;
    const run = newStore(t);
    await succeed(run('pull', `${app}:1`));
    for (const [what, command, status, stdout] of cases) {
      const result = await run('run', '--rm', `${app}:1`, ...command);
      assert.equal(result.status, status, `${what}: ${result.stderr}`);
      assert.match(result.stdout, stdout, what);
    }
    assert.equal(await succeed(run('ps', '-aq')), '', 'nothing is left');
  });

  test('passes streams through and isolates', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    const args = [
      '--root',
      join(dir.path, 'store'),
      'run',
      '-i',
      '--rm',
      '--hostname',
      'inside',
      '-e',
      'X=1',
      `${app}:1`,
    ];
    const script = 'read line; echo "$line $X $(hostname) $$"; echo problem >&2; set -- /proc/[0-9]*; echo $#';
    const result = await tslayer([...args, 'sh', '-c', script], { input: 'from outside\n' });
    assert.equal(result.status, 0, result.stderr);
    assert.match(result.stdout, /^from outside 1 inside 1\n[1-9]\n$/);
    assert.match(result.stderr, /(?:^|\n)problem\n$/);
  });

  test('passes signals through, and leaves their meaning to the program', async (t) => {
    if (!requires(t, root)) return;
    using dir = tempDir('e2e');
    const script = 'trap "echo caught; exit 3" TERM; echo ready; while :; do sleep 0.1; done';
    const result = await tslayer(['--root', join(dir.path, 'store'), 'run', '--rm', `${app}:1`, 'sh', '-c', script], {
      onStart: (child) => child.stdout?.on('data', (data) => String(data).includes('ready') && child.kill('SIGTERM')),
    });
    assert.equal(result.status, 3, result.stderr);
    assert.equal(result.stdout, 'ready\ncaught\n');
  });

  test('that fails before the program runs is 125', async (t) => {
    if (!requires(t, root)) return;
    const run = newStore(t);
    const missing = await run('run', '--pull', 'never', 'no/such:image');
    assert.equal(missing.status, 125);
    assert.match(missing.stderr, /^tslayer: no image no\/such:image in the store\n/);
  });

  test('detached goes on, and can be looked at, stopped and removed', async (t) => {
    if (!requires(t, root)) return;
    const run = newStore(t);
    const id = (
      await succeed(run('run', '-d', '--name', 'box', `${app}:1`, 'sh', '-c', 'echo started; exec sleep 100'))
    ).trim();
    assert.match(id, /^[0-9a-f]{12}$/);
    assert.match(await succeed(run('ps')), new RegExp(`\n${id} .* Up .* box\n`));
    assert.equal(await succeed(run('logs', 'box')), 'started\n');
    assert.equal(await succeed(run('exec', 'box', 'cat', '/app/greeting')), 'hello\n');
    assert.equal((await run('rm', 'box')).status, 7);
    const [details] = JSON.parse(await succeed(run('inspect', 'box'))) as { state: { status: string } }[];
    assert.equal(details?.state.status, 'running');
    await succeed(run('pause', 'box'));
    assert.match(await succeed(run('ps')), /\(Paused\)/);
    await succeed(run('unpause', 'box'));
    await succeed(run('stop', '-t', '0', 'box'));
    assert.equal(await succeed(run('wait', 'box')), '137\n');
    await succeed(run('rm', 'box'));
    assert.equal(await succeed(run('ps', '-aq')), '');
  });
});
