import assert from 'node:assert/strict';
import { lstatSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RunOptions } from '../../../src/launch/index.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { kernel, program, requires, root } from '../../support/requires.ts';

const FIRST = 700_000;
const USERNS: RunOptions = { userns: `${FIRST}:${FIRST}:65536` };
const needed = [root, program('busybox'), program('unshare'), program('nsenter'), program('setpriv'), kernel(5, 12)];

describe('a user namespace', () => {
  let kit: LaunchKit;
  before(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  after(() => kit?.[Symbol.asyncDispose]());

  test('has ids of its own, and capabilities in it only', async (t) => {
    if (!requires(t, ...needed)) return;
    const seen = await kit.sh('id -u; cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/status', USERNS);
    assert.match(seen, new RegExp(`^0\\n +0 +${FIRST} +65536\\n +0 +${FIRST} +65536\\n`));
    assert.match(seen, /CapEff:\t00000000a80425fb\n(?:.*\n)*NoNewPrivs:\t1\nSeccomp:\t2\n/);
    const privileged = await kit.sh(
      'hostname new; hostname; mount -t tmpfs x /tmp && echo mounted; date -s 2000-01-01 2>&1 | grep -q set && echo refused',
      {
        ...USERNS,
        privileged: true,
      },
    );
    assert.match(privileged, /new\nmounted\n(?:.*\n)*refused\n/);
  });

  test('leaves the owners on disk 0-based, and shows them so', async (t) => {
    if (!requires(t, ...needed)) return;
    const script =
      'stat -c "%u:%g" /etc/passwd; touch /root/made; chown 1000:50 /root/made; stat -c "%u:%g" /root/made';
    assert.equal(await kit.sh(script, USERNS), '0:0\n1000:50\n');
    const { uid, gid } = lstatSync(join(kit.rootfs, 'root/made'));
    assert.deepEqual([uid, gid], [1000, 50]);
    // What it wrote is there without a user namespace, too: the layers are shared.
    assert.equal(await kit.sh('stat -c "%u:%g" /root/made; rm /root/made'), '1000:50\n');
  });

  test('is the host’s nobody: a volume of root’s is closed to it, unless it is shifted', async (t) => {
    if (!requires(t, ...needed)) return;
    const volume = kit.directory('volume');
    writeFileSync(join(volume, 'secret'), 'of root', { mode: 0o600 });
    const volumes = (...options: string[]): RunOptions => ({
      ...USERNS,
      volumes: [[volume, '/v', ...options].join(':')],
    });
    assert.equal(await kit.sh('cat /v/secret 2>/dev/null || echo refused', volumes()), 'refused\n');
    assert.equal(await kit.sh('cat /v/secret; touch /v/new', volumes('idmap')), 'of root');
    assert.equal(lstatSync(join(volume, 'new')).uid, 0);
  });

  test('has no ids but its own: a user beyond them is told so', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const few = { userns: '300000:300000:1000', command: ['true'] };
    await assert.rejects(kit.run({ ...few, user: '1000' }), {
      code: 'FAILED',
      message: /cannot become 1000:1000, ids that the container may not have/,
    });
    assert.equal((await kit.run({ ...few, user: '999' })).exitCode, 0);
  });

  test('takes further programs in', async (t) => {
    if (!requires(t, ...needed)) return;
    const { id } = await kit.launcher.start(kit.spec({ ...USERNS, command: ['sleep', '60'] }));
    const script =
      'cat /proc/self/uid_map; readlink /proc/self/ns/user; readlink /proc/1/ns/user; id -u; ps | grep -c "[s]leep 60"';
    const running = await kit.launcher.exec(
      id,
      { command: ['sh', '-c', script] },
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let seen = '';
    for await (const chunk of running.stdout!) seen += String(chunk);
    assert.equal((await running.exited).exitCode, 0);
    const [map, own, first, uid, sleeping] = seen.trim().split('\n');
    assert.match(map!, new RegExp(`${FIRST}`));
    assert.deepEqual([own, uid, sleeping], [first, '0', '1']);
    const { namespaces } = await kit.launcher.inspect(id);
    assert.equal(namespaces?.user, own);
  });

  test('has /dev, /proc, /sys and a network of its own, also with the host’s network', async (t) => {
    if (!requires(t, ...needed)) return;
    const script =
      'echo x > /dev/null && head -c 2 /dev/zero | wc -c; ls /sys/class/net | grep lo; ping -c1 -W1 127.0.0.1 >/dev/null && echo up; ls -ld /dev/mqueue | cut -c1-10; tty';
    const { stdout } = await kit.run({ ...USERNS, command: ['sh', '-c', script] });
    assert.equal(stdout, '2\nlo\nup\ndrwxrwxrwt\nnot a tty\n');
    assert.match(
      await kit.sh('readlink /proc/self/ns/net; ls /sys | wc -l', { ...USERNS, network: 'host' }),
      /^net:\[\d+\]\n[1-9]/,
    );
  });

  test('status, signals and limits are as without', async (t) => {
    if (!requires(t, ...needed)) return;
    assert.equal((await kit.run({ ...USERNS, command: ['sh', '-c', 'exit 7'] })).exitCode, 7);
    const running = await kit.launcher.run(kit.spec({ ...USERNS, command: ['sleep', '60'], init: true }), {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    running.kill('TERM');
    assert.equal((await running.exited).exitCode, 143);
    const grown = await kit.run({
      ...USERNS,
      command: ['sh', '-c', 'a=xxxxxxxxxxxxxxxx; while true; do a=$a$a; done'],
      memory: '16m',
    });
    assert.deepEqual([grown.exitCode, grown.oomKilled], [137, true]);
  });

  test('cannot reach the store: its files are root’s, its root is not', async (t) => {
    if (!requires(t, ...needed)) return;
    // Even with the store itself as a volume.
    const seen = await kit.sh('ls /store 2>&1; cat /store/containers/*/config.json 2>&1; true', {
      ...USERNS,
      volumes: [`${kit.root}:/store`],
      privileged: true,
    });
    assert.doesNotMatch(seen, /"spec"/);
  });

  test('nothing of it is left', async (t) => {
    if (!requires(t, ...needed)) return;
    for (const { id } of await kit.launcher.list()) await kit.launcher.remove(id, { force: true });
    await kit.run({ ...USERNS, command: ['true'] });
    await assert.rejects(kit.run({ ...USERNS, command: ['nope'] }));
    assert.deepEqual(kit.leftovers(), []);
  });
});
