/** The OCI way: the same settings give the same container under other runtimes. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findHierarchies } from '../../../src/launch/cgroups/hierarchies.ts';
import { exitStatusOf, type RunOptions, writeBundle } from '../../../src/launch/index.ts';
import { performMounts } from '../../../src/mounts/perform.ts';
import { unmount } from '../../../src/mounts/unmount.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, requires, root } from '../../support/requires.ts';

const CHILD = join(import.meta.dirname, '../../support/launch-child.ts');

/** What a program can see of where it is. Sections, each a name and its lines. */
const LOOK = `
section() { echo "## $1"; }
section namespaces; for n in mnt uts ipc pid net cgroup user; do [ "$(readlink /proc/self/ns/$n)" = "$(eval echo \\$host_$n)" ] && echo "$n host" || echo "$n own"; done
section status; grep -E "^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)" /proc/self/status
section limits; cat /proc/self/limits | tail -n +2
section mounts; awk '{ print $5, $6, $9 }' /proc/self/mountinfo | sort
section devices; ls -l /dev | awk '{ print $1, $3, $4, $5, $6, $NF }' | tail -n +2 | sort
section cgroups; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us; sort /sys/fs/cgroup/devices/devices.list
section identity; hostname; pwd; id; cat /proc/1/oom_score_adj
section environment; env | grep -v -E "^(SHLVL|_|host_)" | sort
section refused; unshare -m true 2>&1; mount -t tmpfs x /tmp 2>&1; echo x 2>&1 > /proc/sys/kernel/hostname; cat /proc/keys | wc -c
`;

const OPTIONS: RunOptions = {
  hostname: 'same',
  env: ['A=1', ...['mnt', 'uts', 'ipc', 'pid', 'net', 'cgroup', 'user'].map((n) => `host_${n}=${linkOf(n)}`)],
  workdir: '/tmp',
  memory: '64m',
  memorySwap: '128m',
  pidsLimit: 50,
  cpus: '0.5',
  ulimit: ['nofile=100:200', 'core=0'],
  capAdd: ['NET_ADMIN'],
  capDrop: ['MKNOD'],
  tmpfs: ['/run:size=1m'],
  oomScoreAdj: 100,
};

function linkOf(kind: string): string {
  return execFileSync('readlink', [`/proc/self/ns/${kind}`], { encoding: 'utf8' }).trim();
}

/** By section, with what is known to differ in writing and not in meaning made alike. */
function sections(output: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const section of output.split('## ').slice(1)) {
    const [name = '', ...lines] = section.trim().split('\n');
    found[name] = lines.map((line) => line.replace(/\/containers\/[0-9a-f]{12}/, '')).filter((line) => !isDetail(line));
  }
  return found;
}

/** runc binds the systemd hierarchy, too, and before 1.2 it allowed /dev/net/tun to everyone. */
function isDetail(line: string): boolean {
  return line.startsWith('/sys/fs/cgroup') || line === 'c 10:200 rwm';
}

describe('other runtimes', () => {
  let kit: LaunchKit;
  before(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  after(() => kit?.[Symbol.asyncDispose]());

  test('runc: a program sees the same namespaces, mounts, capabilities, limits and environment', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    for (const user of ['root', 'app']) {
      const look = (runtime: RunOptions): Promise<string> => kit.sh(LOOK, { ...OPTIONS, user, ...runtime });
      const [own, other] = [sections(await look({})), sections(await look({ runtime: 'runc' }))];
      assert.ok(Object.keys(own).length === 9);
      for (const name of Object.keys(own)) assert.deepEqual(own[name], other[name], `${name} as ${user}`);
    }
  });

  test('runc: status, streams, reasons and what is left are as under the built-in launcher', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    const ran = await kit.run(
      { runtime: 'runc', command: ['sh', '-c', 'cat; echo err >&2; exit 42'], interactive: true },
      { input: 'in' },
    );
    assert.deepEqual([ran.stdout, ran.stderr, ran.exitCode], ['in', 'err\n', 42]);
    const missing: unknown = await kit.run({ runtime: 'runc', command: ['nope'] }).catch((error: unknown) => error);
    assert.equal(exitStatusOf(missing), 127);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('runc: starts while the last container of our own ends, and takes the common parent away', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    // Under a name of the test's own, or it would disturb others.
    const cgroupParent = `/tslayer-test-${process.pid}`;
    const parents = findHierarchies().map(({ mountpoint }) => join(mountpoint, cgroupParent));
    const remover = spawn('sh', ['-c', 'while :; do rmdir "$@"; sleep 0; done', 'sh', ...parents], { stdio: 'ignore' });
    try {
      for (let i = 0; i < 15; i++) await kit.sh('true', { runtime: 'runc', cgroupParent });
    } finally {
      remover.kill('SIGKILL');
      await once(remover, 'close');
      for (const parent of parents.filter((path) => existsSync(path))) rmdirSync(parent);
    }
    assert.deepEqual(kit.leftovers(), []);
  });

  test('runc: runs detached, is stopped, and joined by further programs', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    const { id } = await kit.launcher.start(kit.spec({ runtime: 'runc', command: ['sh', '-c', 'echo up; sleep 60'] }));
    const exec = await kit.launcher.exec(id, { command: ['hostname'] }, { stdio: ['ignore', 'pipe', 'inherit'] });
    let seen = '';
    for await (const chunk of exec.stdout!) seen += String(chunk);
    assert.equal(seen, `${id}\n`);
    await kit.launcher.stop(id, { timeoutSeconds: 0 });
    assert.equal((await kit.launcher.inspect(id)).state.exitCode, 137);
    await kit.launcher.remove(id);
  });

  test('crun: the same', async (t) => {
    if (!requires(t, root, program('busybox'), program('crun'), program('unshare'))) return;
    const spec = kit.spec({
      runtime: 'crun',
      hostname: 'same',
      command: ['sh', '-c', 'hostname; echo err >&2; exit 42'],
    });
    // crun gives up where both versions of cgroups are mounted: it sees one of them only.
    const hide =
      'grep -q "^cgroup " /proc/mounts && grep "^cgroup2 " /proc/mounts | while read -r _ d _; do umount "$d"; done; exec "$@"';
    const { status, stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', hide, 'sh', process.execPath, CHILD], {
      env: { ...process.env, LAUNCH_ROOT: kit.root, LAUNCH_SPEC: JSON.stringify(spec) },
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout, stderr], [42, 'same\n', 'err\n']);
    await kit.launcher.remove(spec.id);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('runc reports what the kernel killed for want of memory', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    const { exitCode, oomKilled } = await kit.run({
      runtime: 'runc',
      memory: '16m',
      command: ['sh', '-c', 'a=xxxxxxxxxxxxxxxx; while true; do a=$a$a; done'],
    });
    assert.deepEqual({ exitCode, oomKilled }, { exitCode: 137, oomKilled: true });
  });

  test('a bundle runs under a runtime that knows nothing of us', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    const bundle = kit.directory('bundle');
    const spec = kit.spec({
      user: 'app',
      command: ['sh', '-c', 'id -un; hostname; cat /etc/hostname'],
      hostname: 'bundled',
    });
    performMounts(spec.rootfs.mounts, `${kit.directory('bundle/rootfs')}`);
    try {
      writeBundle(spec, bundle);
      assert.equal(statSync(join(bundle, 'config.json')).mode & 0o777, 0o600);
      const output = execFileSync('runc', ['--root', kit.directory('state'), 'run', '-b', bundle, `t${process.pid}`]);
      assert.equal(output.toString(), 'app\nbundled\nbundled\n');
    } finally {
      unmount(join(bundle, 'rootfs'));
    }
  });

  test('one that is not installed, or asked for what it cannot, says so', async (t) => {
    if (!requires(t, root, program('busybox'), program('runc'))) return;
    await assert.rejects(kit.run({ runtime: 'runc', userns: 'auto', command: ['true'] }), { code: 'UNSUPPORTED' });
    await assert.rejects(kit.run({ runtime: 'runc', init: true, command: ['true'] }), { code: 'UNSUPPORTED' });
    assert.deepEqual(kit.leftovers(), []);
  });
});
