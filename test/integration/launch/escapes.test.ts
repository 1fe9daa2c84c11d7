/** Ways out of a container that others have met, each named after the hole it once was. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { exitStatusOf, type RunOptions } from '../../../src/launch/index.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, requires, root } from '../../support/requires.ts';

describe('escapes', () => {
  let kit: LaunchKit;
  beforeEach(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  afterEach(() => kit?.[Symbol.asyncDispose]());

  const inRootfs = (...names: string[]): string => join(kit.rootfs, ...names);
  const refused = async (options: RunOptions): Promise<string> => {
    const start = async () => kit.run({ command: ['true'], ...options });
    const error: unknown = await start().catch((e: unknown) => e);
    assert.ok(error instanceof Error, 'it ran');
    assert.equal(exitStatusOf(error), 125);
    return error.message;
  };
  /** A secret of the host's, and an image's link that would lead to it. */
  const plant = (link: string, target: string): void => {
    rmSync(inRootfs(link), { recursive: true, force: true });
    symlinkSync(target, inRootfs(link));
  };

  test('CVE-2019-5736: the launcher’s own program cannot be reached through /proc, not even for reading', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    // An image whose program is a link to whatever executes it.
    symlinkSync('/proc/self/exe', inRootfs('bin/self'));
    const ran = await kit
      .run({ command: ['/bin/self', 'sh', '-c', 'readlink /proc/self/exe'] })
      .catch((e: unknown) => e);
    assert.ok(ran instanceof Error || !/node/.test(JSON.stringify(ran)), JSON.stringify(ran));
    // A container that waits for `exec` and grabs the init process before it has become the program.
    const watch = `while true; do for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$$) continue;; esac
      e=$(readlink $p/exe 2>/dev/null); case "$e" in *node*) echo "saw $e"; head -c 4 $p/exe && echo "opened $p";; esac
      ls $p/fd/ 2>/dev/null | grep -q 3 && ls -l $p/fd/3 2>/dev/null | grep -q socket && echo "fds $p"
      cat $p/environ $p/maps 2>/dev/null | grep -q node && echo "mapped $p"; done; done`;
    const container = await kit.launcher.start(kit.spec({ command: ['sh', '-c', watch] }));
    for (let i = 0; i < 3; i++) {
      const exec = await kit.launcher.exec(
        container.id,
        { command: ['true'] },
        { stdio: ['ignore', 'ignore', 'inherit'] },
      );
      assert.equal((await exec.exited).exitCode, 0);
    }
    let seen = '';
    await kit.launcher.stop(container.id, { timeoutSeconds: 0 });
    for await (const { data } of kit.launcher.logs(container.id)) seen += Buffer.from(data).toString();
    assert.equal(seen, '');
  });

  test('CVE-2024-21626: a working directory through a leaked descriptor', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    // The worst leak there can be: the caller's own standard input is a directory of the host's.
    const leak = openSync(kit.directory('leak'), 'r');
    for (const workdir of ['/proc/self/fd/0', '/proc/thread-self/fd/0']) {
      const stdio = [leak, 'pipe', 'pipe'] as const;
      const ran = kit.run({ command: ['pwd', '-P'], interactive: true, workdir }, { stdio });
      await assert.rejects(ran, /leads out of the container/);
    }
    closeSync(leak);
    // And none of the init process's own.
    for (const fd of [3, 8, 17]) {
      await assert.rejects(
        kit.run({ command: ['true'], workdir: `/proc/self/fd/${fd}`, readOnly: true }),
        /working directory/,
      );
    }
  });

  test('CVE-2024-21626: no descriptor of the host’s is open in the program, in run or exec', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const list = 'for f in /proc/self/fd/*; do readlink $f; done; for f in /proc/1/fd/*; do readlink $f; done; true';
    const own = await kit.run({ command: ['sh', '-c', list] });
    const container = await kit.launcher.start(kit.spec({ command: ['sleep', '60'] }));
    const exec = await kit.launcher.exec(
      container.id,
      { command: ['sh', '-c', list] },
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let joined = '';
    for await (const chunk of exec.stdout!) joined += String(chunk);
    for (const target of (own.stdout + joined).trim().split('\n')) {
      assert.match(target, /^(\/dev\/null|pipe:\[\d+\]|socket:\[\d+\]|\/proc\/\d+\/fd)$/);
    }
    assert.doesNotMatch(joined + own.stdout, /rootfs|containers|cgroup/);
  });

  test('CVE-2025-31133: /dev/null of the image cannot stand in for what hides /proc', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    mkdirSync(inRootfs('dev'));
    plant('dev/null', '/proc/sys/kernel/core_pattern');
    const seen = await kit.sh(
      'ls -l /dev/null /proc/keys; cat /proc/keys | wc -c; echo x > /proc/keys; cat /proc/sys/kernel/core_pattern',
    );
    assert.match(seen, /^crw-rw-rw-.* 1, +3 .*\/dev\/null\ncrw-rw-rw-.* 1, +3 .*\/proc\/keys\n0\n/);
    assert.equal(seen.trim().split('\n').at(-1), readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim());
  });

  test('CVE-2025-52565, CVE-2026-41579: /dev, /proc and /sys that are links', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const host = kit.directory('host');
    for (const name of ['dev', 'proc', 'sys']) {
      for (const target of [host, '../../../../..']) {
        plant(name, target);
        assert.match(await refused({}), /symbolic link/, `${name} → ${target}`);
        rmSync(inRootfs(name));
      }
    }
    assert.deepEqual(execFileSync('ls', ['-A', host], { encoding: 'utf8' }), '');
  });

  test('CVE-2025-52565: /dev/console of the image is not what the terminal is bound over', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    mkdirSync(inRootfs('dev'));
    plant('dev/console', '/proc/sysrq-trigger');
    const container = await kit.launcher.start(kit.spec({ tty: true, command: ['ls', '-l', '/dev/console'] }));
    await kit.launcher.wait(container.id);
    let seen = '';
    for await (const { data } of kit.launcher.logs(container.id)) seen += Buffer.from(data).toString();
    assert.match(seen, /^crw.* 136, +\d+ .*\/dev\/console\r\n$/);
  });

  test('CVE-2019-16884, CVE-2023-27561: a volume over a part of /proc, straight or through a link', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const volume = kit.directory('volume');
    symlinkSync('/proc', inRootfs('link'));
    for (const destination of ['/proc/sys', '/link/self/attr']) {
      assert.match(await refused({ volumes: [`${volume}:${destination}`] }), /\/proc/, destination);
      assert.match(await refused({ tmpfs: [destination] }), /\/proc/, destination);
    }
  });

  test('CVE-2022-23648, CVE-2024-1753: a volume’s place leads out of the rootfs', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const host = kit.directory('victim');
    const volume = kit.directory('volume');
    writeFileSync(join(volume, 'planted'), '');
    const links = { out: host, up: '../../../../../../..', abs: '/', chain: '/out' };
    for (const [name, target] of Object.entries(links)) symlinkSync(target, inRootfs(name));
    for (const destination of ['/out', '/out/deeper', '/up/tmp', `/abs${host}`, '/chain/x', '/tmp/../../../x']) {
      const ran = await kit.run({ command: ['true'], volumes: [`${volume}:${destination}`] }).catch((e: unknown) => e);
      assert.ok(!existsSync(join(host, 'planted')) && !existsSync(join(host, 'deeper')), `${destination}: ${ran}`);
    }
    // Where a link leads inside, the volume lies inside.
    mkdirSync(inRootfs('inside'));
    symlinkSync('/inside', inRootfs('within'));
    assert.match(await kit.sh('ls /inside', { volumes: [`${volume}:/within`] }), /planted/);
  });

  test('a volume that is /dev stays as it is: nothing is made in a directory of the host’s', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const directory = kit.directory('devices');
    execFileSync('mknod', ['-m', '666', join(directory, 'null'), 'c', '1', '3']);
    const listed = await kit.sh('ls /dev; echo lost > /dev/null', { volumes: [`${directory}:/dev`] });
    assert.equal(listed, 'null\n');
    assert.deepEqual(readdirSync(directory), ['null']);
  });

  test('CVE-2024-9676: /etc/passwd of the image is a link, a fifo, or endless', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const secret = join(kit.directory('host'), 'passwd');
    writeFileSync(secret, 'spy:x:0:0::/:/bin/sh\n');
    for (const target of [secret, `../../../../../../../..${secret}`]) {
      plant('etc/passwd', target);
      assert.match(await refused({ user: 'spy' }), /no user "spy"/);
    }
    plant('etc/passwd', '/dev/zero');
    assert.match(await refused({ user: 'app' }), /no regular file/);
    rmSync(inRootfs('etc/passwd'));
    execFileSync('mkfifo', [inRootfs('etc/passwd')]);
    assert.match(await refused({ user: 'app' }), /no regular file/);
    rmSync(inRootfs('etc/passwd'));
    writeFileSync(inRootfs('etc/passwd'), '');
    truncateSync(inRootfs('etc/passwd'), 2 ** 33);
    assert.match(await refused({ user: 'app' }), /no regular file/);
  });

  test('CVE-2018-15664: a link that comes and goes while exec looks a user up', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const secret = join(kit.directory('host'), 'secret');
    writeFileSync(secret, 'spy:x:0:0::/:/bin/sh\n');
    const race = `cp /etc/passwd /etc/real; ln -s ../../../../../../../..${secret} /etc/link; while true; do
      mv /etc/passwd /etc/away; mv /etc/link /etc/passwd; mv /etc/passwd /etc/link; mv /etc/away /etc/passwd; done`;
    const { id } = await kit.launcher.start(kit.spec({ command: ['sh', '-c', race] }));
    for (let i = 0; i < 20; i++) {
      const exec = kit.launcher.exec(id, { command: ['true'], user: 'spy' }, { stdio: ['ignore', 'ignore', 'ignore'] });
      await assert.rejects(exec, /no user "spy"|link to something missing/);
    }
    await kit.launcher.remove(id, { force: true });
  });

  test('CVE-2024-9675: names that are paths out of the store, or out of the parent cgroup', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (const name of ['../../etc', 'a/b', '..', '.', '']) assert.match(await refused({ name }), /no container name/);
    for (const cgroupParent of ['/tslayer/../..', '..', '/a/./b']) {
      assert.match(await refused({ cgroupParent }), /no \. or \.\./);
    }
    for (const hostname of ['a/b', '..']) assert.match(await refused({ hostname }), /no host name/);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('CVE-2024-40635: a user id that wraps around to root', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (const user of ['4294967296', '-1', '0:4294967296']) assert.match(await refused({ user }), /ids go from 0/);
  });

  test('CVE-2022-0492: the release agent of a cgroup cannot be set, a new cgroup not be mounted', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const script = `mkdir /tmp/c; mount -t cgroup -o rdma x /tmp/c 2>/dev/null && echo mounted
      unshare -UrmC true 2>/dev/null && echo unshared
      for f in /sys/fs/cgroup/*/release_agent /sys/fs/cgroup/*/notify_on_release; do echo 1 2>/dev/null > $f && echo "wrote $f"; done; true`;
    assert.equal(await kit.sh(script), '');
  });

  test('setuid programs and file capabilities of the image give nothing', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    mkdirSync(inRootfs('suid'));
    execFileSync('cp', [inRootfs('bin/busybox'), inRootfs('suid/busybox')]);
    execFileSync('chmod', ['4755', inRootfs('suid/busybox')]);
    const seen = await kit.sh('/suid/busybox id -u; /suid/busybox grep -E "CapEff|Uid" /proc/self/status', {
      user: 'app',
    });
    assert.match(seen, /^1000\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n$/);
  });

  test('the keyring, new namespaces, modules and mounts are refused by the filter', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const script =
      'for f in -m -U -p -n -i -u -C; do unshare $f true 2>/dev/null && echo "unshare $f"; done; mount -t tmpfs x /tmp 2>/dev/null && echo mount; true';
    assert.equal(
      await kit
        .sh(script, { capAdd: ['SYS_ADMIN'], securityOpt: ['seccomp=unconfined'] })
        .then((out) => out.includes('mount')),
      true,
    );
    assert.equal(await kit.sh(script), '');
  });

  test('CVE-2024-25621: the store is nobody else’s to read', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const { id } = await kit.launcher.start(kit.spec({ command: ['sleep', '60'] }));
    for (const path of ['containers', join('containers', id)]) {
      const mode = execFileSync('stat', ['-c', '%a', join(kit.root, path)], { encoding: 'utf8' }).trim();
      assert.equal(mode, '700', path);
    }
  });

  test('a container sees no process, mount or name of the host’s', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const seen = await kit.sh('ps; cat /proc/self/mountinfo; ls /proc | grep "^[0-9]" | wc -l; cat /proc/1/cgroup');
    assert.doesNotMatch(seen, /tslayer\/[0-9a-f]{12}|\bnode\b/);
    assert.doesNotMatch(seen, / \/(home|boot|work) /);
  });
});
