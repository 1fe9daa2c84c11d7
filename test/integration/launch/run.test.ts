import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { exitStatusOf, type RunOptions } from '../../../src/launch/index.ts';
import { findMount } from '../../../src/mounts/mountinfo.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, requires, root } from '../../support/requires.ts';

const KINDS = ['mnt', 'uts', 'ipc', 'pid', 'net', 'cgroup', 'user'];
const hostNamespace = (kind: string): string => readlinkSync(`/proc/self/ns/${kind}`);

/** A `key: value` of /proc/PID/status. */
const field = (status: string, key: string): string | undefined =>
  new RegExp(`^${key}:\\s*(.*)$`, 'm').exec(status)?.[1];

describe('run', () => {
  let kit: LaunchKit;
  before(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  after(() => kit?.[Symbol.asyncDispose]());

  test('gives six new namespaces, and leaves the user’s', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const seen = await kit.sh(KINDS.map((kind) => `readlink /proc/self/ns/${kind}`).join(';'));
    for (const [i, namespace] of seen.trim().split('\n').entries()) {
      assert.equal(namespace === hostNamespace(KINDS[i]!), KINDS[i] === 'user', KINDS[i]);
    }
  });

  test('each namespace has its own switch', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const switches: [RunOptions, string][] = [
      [{ network: 'host' }, 'net'],
      [{ ipc: 'host' }, 'ipc'],
      [{ uts: 'host' }, 'uts'],
      [{ pid: 'host' }, 'pid'],
      [{ cgroupns: 'host' }, 'cgroup'],
      [{ network: `ns:/proc/${process.pid}/ns/net` }, 'net'],
      [{ pid: `ns:/proc/${process.pid}/ns/pid` }, 'pid'],
    ];
    for (const [options, shared] of switches) {
      const seen = await kit.sh(`readlink /proc/self/ns/${shared}`, options);
      assert.equal(seen.trim(), hostNamespace(shared), JSON.stringify(options));
    }
  });

  test('a UTS namespace that is joined gives its host name', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const other = await kit.launcher.start(kit.spec({ command: ['sleep', '60'], hostname: 'theirs' }));
    const uts = `ns:/proc/${other.state.pid}/ns/uts`;
    const seen = await kit.sh('hostname; echo $HOSTNAME; cat /etc/hostname; grep -c theirs /etc/hosts', { uts });
    assert.equal(seen, 'theirs\ntheirs\ntheirs\n1\n');
    assert.notEqual(hostname(), 'theirs', 'we are back');
    await kit.launcher.remove(other.id, { force: true });
    const file = join(kit.rootfs, 'etc/passwd');
    assert.throws(() => kit.spec({ uts: `ns:${file}` }), /cannot join the uts namespace/);
  });

  test('the namespaces of another container can be joined by path', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const other = await kit.launcher.start(kit.spec({ command: ['sleep', '60'] }));
    const joined: [keyof RunOptions, string][] = [
      ['network', 'net'],
      ['ipc', 'ipc'],
      ['uts', 'uts'],
      ['pid', 'pid'],
      ['cgroupns', 'cgroup'],
    ];
    for (const [option, kind] of joined) {
      const path = `/proc/${other.state.pid}/ns/${kind}`;
      for (const userns of ['host', '700000:700000:65536']) {
        const seen = await kit.sh(`readlink /proc/self/ns/${kind}`, { [option]: `ns:${path}`, userns });
        assert.equal(seen.trim(), readlinkSync(path), `${kind}, --userns ${userns}`);
      }
    }
    await kit.launcher.remove(other.id, { force: true });
  });

  test('a namespace file that is none, or not there, is an error that names it', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (const path of ['/etc/passwd', '/nonexistent']) {
      for (const userns of ['host', '700000:700000:65536']) {
        const run = kit.run({ command: ['true'], network: `ns:${path}`, userns });
        await assert.rejects(run, new RegExp(`cannot join the (network )?namespace ${path}`));
      }
    }
    assert.deepEqual(kit.leftovers(), []);
  });

  test('in its own network every user may ping, and listen at any port', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    for (const userns of ['host', '700000:700000:65536']) {
      // busybox has no ping by datagrams, which this range is for.
      const script =
        'cat /proc/sys/net/ipv4/ping_group_range; httpd -p 80 -h /tmp && nc 127.0.0.1 80 </dev/null && echo heard';
      const { stdout } = await kit.run({ command: ['sh', '-c', script], user: 'app', userns });
      assert.match(stdout, userns === 'host' ? /^0\t2147483647\nheard$/m : /^0\t65535\nheard$/m);
    }
  });

  test('sysctls are set in its namespaces, and nowhere else', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const files = ['net/core/somaxconn', 'kernel/shmmni'].map((name) => `/proc/sys/${name}`);
    const before = files.map((file) => readFileSync(file, 'utf8'));
    const seen = await kit.sh(`cat ${files.join(' ')}`, { sysctl: ['net.core.somaxconn=77', 'kernel.shmmni=55'] });
    assert.equal(seen, '77\n55\n');
    assert.deepEqual(
      files.map((file) => readFileSync(file, 'utf8')),
      before,
    );
    await assert.rejects(
      kit.run({ command: ['true'], sysctl: ['net.core.nonesuch=1'] }),
      /cannot set net.core.nonesuch/,
    );
  });

  test('a mount that the kernel refuses is an error, wherever it stands among others', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const bad = '/x:size=none';
    for (const userns of ['host', '700000:700000:65536']) {
      for (const tmpfs of [[bad], [bad, '/y'], ['/y', bad]]) {
        await assert.rejects(kit.run({ command: ['true'], tmpfs, userns }), /cannot mount tmpfs at \/x: .*EINVAL/);
      }
    }
    await assert.rejects(kit.run({ command: ['true'], volumes: ['/nonexistent:/x'] }), /there is no \/nonexistent/);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('the program is alone: PID 1, one thread, three descriptors, an environment of its own', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    process.env.TSLAYER_TEST_LEAK = 'leaked';
    const seen = await kit.sh(
      'echo $$; ls /proc/self/fd | wc -l; ls /proc | grep -c "^[0-9]*$"; env; readlink /proc/1/exe',
    );
    const lines = seen.trim().split('\n');
    // ls has its directory open, and wc and grep run beside it.
    assert.deepEqual(lines.slice(0, 2), ['1', '4']);
    assert.ok(Number(lines[2]) <= 4);
    assert.match(seen, /^HOME=\/root$/m);
    assert.match(seen, /^PATH=\/usr\/local\/sbin:/m);
    assert.doesNotMatch(seen, /leaked|NODE/);
    assert.equal(lines.at(-1), '/bin/busybox');
  });

  test('capabilities, no_new_privs and a filter are what the kernel enforces', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const status = await kit.sh('cat /proc/self/status');
    for (const set of ['CapPrm', 'CapEff', 'CapBnd']) assert.equal(field(status, set), '00000000a80425fb', set);
    for (const set of ['CapInh', 'CapAmb']) assert.equal(field(status, set), '0000000000000000', set);
    assert.deepEqual([field(status, 'NoNewPrivs'), field(status, 'Seccomp')], ['1', '2']);
    assert.equal(field(status, 'Threads'), '1');
  });

  test('a user other than root holds only what was asked for by name', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const plain = await kit.sh('cat /proc/self/status; id', { user: 'app' });
    assert.equal(field(plain, 'CapEff'), '0000000000000000');
    assert.equal(field(plain, 'CapBnd'), '00000000a80425fb');
    assert.match(plain, /uid=1000\(app\) gid=1000\(app\) groups=50\(staff\),1000\(app\)/);
    const added = await kit.sh('cat /proc/self/status', { user: '1000', capAdd: ['NET_ADMIN'], capDrop: ['ALL'] });
    for (const set of ['CapEff', 'CapAmb', 'CapBnd']) assert.equal(field(added, set), '0000000000001000', set);
  });

  test('a privileged container has what its launcher has, and no filter', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const status = await kit.sh('cat /proc/self/status; ls /dev | wc -l; mount -t tmpfs x /tmp && echo mounted', {
      privileged: true,
    });
    assert.equal(field(status, 'CapEff'), field(readFileSync('/proc/self/status', 'utf8'), 'CapEff'));
    assert.deepEqual([field(status, 'NoNewPrivs'), field(status, 'Seccomp')], ['0', '0']);
    assert.match(status, /mounted/);
  });

  test('standard streams, arguments and the status pass through', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const ran = await kit.run(
      { command: ['sh', '-c', 'cat; echo "$0 $1" >&2; exit 42', 'a b', 'ü'], interactive: true },
      { input: 'from stdin' },
    );
    assert.deepEqual([ran.stdout, ran.stderr, ran.exitCode], ['from stdin', 'a b ü\n', 42]);
    const closed = await kit.run({ command: ['cat'] }, { input: 'not passed on without -i' });
    assert.equal(closed.stdout, '');
  });

  test('a program that a signal ends gives 128 and the signal', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const spec = kit.spec({ command: ['sh', '-c', 'trap "echo caught; exit 7" TERM; echo ready; sleep 60 & wait'] });
    const running = await kit.launcher.run(spec, { stdio: ['ignore', 'pipe', 'inherit'] });
    const output: string[] = [];
    for await (const chunk of running.stdout!) {
      output.push(String(chunk));
      if (output.length === 1) running.kill('TERM');
    }
    assert.deepEqual([output.join(''), (await running.exited).exitCode], ['ready\ncaught\n', 7]);
    const killed = await kit.launcher.run(kit.spec({ command: ['sleep', '60'] }), {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    killed.kill('KILL');
    const { exitCode, signal, oomKilled } = await killed.exited;
    assert.deepEqual({ exitCode, signal, oomKilled }, { exitCode: 137, signal: 'SIGKILL', oomKilled: false });
  });

  test('what cannot be run is 127 or 126, and leaves nothing', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    writeFileSync(join(kit.rootfs, 'bin/text'), 'not executable');
    writeFileSync(join(kit.rootfs, 'bin/garbage'), 'garbage', { mode: 0o755 });
    const failures: [string, number][] = [
      ['nope', 127],
      ['/bin/nope', 127],
      ['/bin/text', 126],
      ['/bin', 126],
      ['/bin/garbage', 126],
    ];
    for (const [name, status] of failures) {
      const error: unknown = await kit.run({ command: [name] }).catch((e: unknown) => e);
      assert.equal(exitStatusOf(error), status, `${name}: ${error}`);
    }
    assert.equal(exitStatusOf(await kit.run({ command: ['true'], user: 'nobody-here' }).catch((e: unknown) => e)), 125);
    assert.deepEqual(kit.leftovers().filter((left) => !/sleep/.test(left)).length, (await kit.launcher.list()).length);
  });

  test('host name, working directory and the user’s home are set, the directory made', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const script =
      'hostname; cat /etc/hostname; pwd; echo $HOME; grep -c mybox /etc/hosts; ping -c1 -W1 localhost >/dev/null && echo up';
    const seen = await kit.sh(script, { hostname: 'mybox', workdir: '/new/place', user: 'root' });
    assert.deepEqual(seen.trim().split('\n'), ['mybox', 'mybox', '/new/place', '/root', '1', 'up']);
    assert.notEqual(hostname(), 'mybox');
  });

  test('/etc/hosts, hostname and resolv.conf are not written into the layers', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    await kit.sh('echo "1.2.3.4 x" >> /etc/hosts; cat /etc/resolv.conf', { dns: ['9.9.9.9'] });
    for (const name of ['hosts', 'hostname', 'resolv.conf']) {
      assert.equal(readFileSync(join(kit.rootfs, 'etc', name), 'utf8'), '', name);
    }
  });

  test('/dev, /proc and /sys are the container’s own', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const seen = await kit.sh(`
      for d in null zero full random urandom tty; do [ -c /dev/$d ] && echo $d; done
      head -c 3 /dev/zero | wc -c; echo x > /dev/null; echo x > /dev/full || echo full
      ls -A /dev/shm | wc -l; readlink /dev/ptmx; readlink /dev/stdin
      echo 1 > /sys/kernel/mm/ksm/run || echo ro; echo x > /proc/sys/kernel/hostname || echo ro
      cat /proc/kcore 2>/dev/null | head -c 1 | wc -c; ls /sys/firmware | wc -l`);
    const lines = seen.split('\n').filter(Boolean);
    assert.deepEqual(lines, [
      ...['null', 'zero', 'full', 'random', 'urandom', 'tty'],
      ...['3', 'full', '0', 'pts/ptmx', '/proc/self/fd/0', 'ro', 'ro', '0', '0'],
    ]);
  });

  test('a read-only rootfs refuses writes, its volumes and tmpfs do not', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const shared = kit.directory('shared');
    const seen = await kit.sh(
      'touch /x || echo refused; touch /data/made /run/y && echo written; touch /ro/z || echo read-only; mount | grep " /run "',
      { readOnly: true, volumes: [`${shared}:/data`, `${shared}:/ro:ro`], tmpfs: ['/run:size=1m'] },
    );
    assert.match(seen, /^refused\nwritten\nread-only\ntmpfs on \/run type tmpfs \(rw,nosuid,nodev,noexec,.*size=1024k/);
    assert.equal(readFileSync(join(shared, 'made'), 'utf8'), '');
  });

  test('a file can be a volume, and mountpoints are made where there are none', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const file = join(kit.directory('files'), 'one');
    writeFileSync(file, 'content');
    assert.equal(await kit.sh('cat /deep/down/here', { volumes: [`${file}:/deep/down/here:ro`] }), 'content');
  });

  test('mounts below a volume come along, read-only when it is', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const outer = kit.directory('outer');
    mkdirSync(join(outer, 'inner'));
    const { mount, umount } = await import('../../../src/sys/mount-api.ts');
    mount('tmpfs', join(outer, 'inner'), 'tmpfs', 0);
    try {
      writeFileSync(join(outer, 'inner/file'), 'below');
      const seen = await kit.sh('cat /v/inner/file; touch /v/inner/x || echo " refused"', {
        volumes: [`${outer}:/v:ro`],
      });
      assert.equal(seen, 'below refused\n');
    } finally {
      umount(join(outer, 'inner'));
    }
  });

  test('limits of processes are set, and lowered with a warning where they may not be raised', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const ran = await kit.run({
      command: ['sh', '-c', 'ulimit -n; ulimit -c'],
      ulimit: ['nofile=100:200', 'core=0', 'nproc=99999999'],
    });
    assert.equal(ran.stdout, '100\n0\n');
    const mayRaise = Number.parseInt(field(readFileSync('/proc/self/status', 'utf8'), 'CapEff') ?? '0', 16) & (1 << 24);
    if (!mayRaise) assert.match(ran.warnings.join(), /nproc was lowered to/);
  });

  test('--init reaps, passes signals on, and ends as its child does', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const seen = await kit.sh('readlink /proc/1/exe; (sleep 0.1 &); sleep 0.4; ps -o comm | grep -c sleep; true', {
      init: true,
    });
    assert.deepEqual(seen.trim().split('\n'), ['/memfd:init (deleted)', '0']);
    // Without an init, a sleep that is PID 1 would not hear SIGTERM.
    const running = await kit.launcher.run(kit.spec({ command: ['sleep', '60'], init: true }), {
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    running.kill('TERM');
    assert.equal((await running.exited).exitCode, 143);
  });

  test('a root file system of several mounts is on the host only until the program starts', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const spec = kit.spec({ command: ['sh', '-c', 'test -e /bin/sh && sleep 0.3; exit 7'] });
    // One over the other: no single detached mount can stand for them. As on kernels without the mount API.
    const mounts = [...spec.rootfs.mounts, ...spec.rootfs.mounts];
    const place = join(kit.root, 'containers', spec.id, 'rootfs');
    const stdio = ['ignore', 'ignore', 'ignore'] as const;
    const running = await kit.launcher.run({ ...spec, rootfs: { ...spec.rootfs, mounts } }, { stdio });
    assert.equal(findMount(place), undefined);
    assert.equal((await running.exited).exitCode, 7);
    const missing = { ...kit.spec({ command: ['/nothing'] }), rootfs: { ...spec.rootfs, mounts } };
    await assert.rejects(kit.launcher.run(missing, { stdio }), /there is no program/);
    assert.equal(findMount(join(kit.root, 'containers', missing.id, 'rootfs')), undefined);
  });

  test('an abort kills it', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const controller = new AbortController();
    const running = await kit.launcher.run(kit.spec({ command: ['sleep', '60'] }), {
      stdio: ['ignore', 'ignore', 'ignore'],
      signal: controller.signal,
    });
    controller.abort();
    assert.equal((await running.exited).exitCode, 137);
  });
});
