/** Every limit is seen from inside, and shown to bite. */
import assert from 'node:assert/strict';
import { readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { findHierarchies } from '../../../src/launch/cgroups/hierarchies.ts';
import type { RunOptions } from '../../../src/launch/index.ts';
import { majorOf, minorOf } from '../../../src/sys/files.ts';
import { LaunchKit } from '../../support/launch-kit.ts';
import { program, type Requirement, requires, root } from '../../support/requires.ts';

/** A mounted cgroup subsystem, by its name in either version. */
const subsystem =
  (...names: string[]): Requirement =>
  () => {
    const mounted = findHierarchies().flatMap(({ subsystems }) => subsystems);
    return names.some((name) => mounted.includes(name))
      ? undefined
      : `needs the cgroup subsystem ${names.join(' or ')}`;
  };

const v1 = (name: string): boolean =>
  findHierarchies().some(({ version, subsystems }) => version === 1 && subsystems.includes(name));

/** `major:minor` of the disk below a directory; undefined where it lies on none. */
function diskOf(path: string): string | undefined {
  const { dev } = statSync(path);
  const numbers = `${majorOf(dev)}:${minorOf(dev)}`;
  const known = readFileSync('/proc/partitions', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return known.some(([major, minor]) => `${major}:${minor}` === numbers) ? numbers : undefined;
}

describe('limits', () => {
  let kit: LaunchKit;
  before(() => {
    if (process.getuid?.() === 0) kit = new LaunchKit();
  });
  after(() => kit?.[Symbol.asyncDispose]());

  test('memory kills, and is reported as the reason', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('memory'))) return;
    const grow = 'a=xxxxxxxxxxxxxxxx; while true; do a=$a$a; done';
    const { exitCode, oomKilled } = await kit.run({ command: ['sh', '-c', grow], memory: '16m' });
    assert.deepEqual({ exitCode, oomKilled }, { exitCode: 137, oomKilled: true });
  });

  test('memory is the program’s alone: what node needed to start it is not counted', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('memory'))) return;
    const file = v1('memory') ? '/sys/fs/cgroup/memory/memory.max_usage_in_bytes' : '/sys/fs/cgroup/memory.peak';
    const used = Number(await kit.sh(`cat ${file}`, { memory: '6m' }));
    assert.ok(used < 6 << 20, `${used} bytes`);
  });

  test('pids refuse a further process', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('pids'))) return;
    const script = '(sleep 1 & sleep 1 & sleep 1 & sleep 1) 2>&1; true';
    assert.match(await kit.sh(script, { pidsLimit: 3 }), /can't fork/);
    assert.equal(await kit.sh('true', { pidsLimit: 1 }), '');
  });

  test('cpu quota throttles', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('cpu'))) return;
    const file = v1('cpu') ? '/sys/fs/cgroup/cpu/cpu.stat' : '/sys/fs/cgroup/cpu.stat';
    const spin = `i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; grep nr_throttled ${file}`;
    const [, throttled] = (await kit.sh(spin, { cpus: '0.1' })).split(' ');
    assert.ok(Number(throttled) > 0, `throttled ${throttled} times`);
  });

  test('cpu shares are what the kernel weighs', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('cpu'))) return;
    const seen = await kit.sh('cat /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/cpu.weight 2>/dev/null; true', {
      cpuShares: 512,
    });
    assert.equal(seen.trim(), v1('cpu') ? '512' : '20');
  });

  test('cpuset pins', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('cpuset'))) return;
    const status = await kit.sh('grep -E "Cpus_allowed_list|Mems_allowed_list" /proc/self/status', {
      cpusetCpus: '0',
      cpusetMems: '0',
    });
    assert.match(status, /Cpus_allowed_list:\s*0\nMems_allowed_list:\s*0\n/);
  });

  test('blkio slows writes', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('blkio', 'io'))) return;
    const directory = kit.directory('disk');
    const disk = diskOf(directory);
    if (disk === undefined) return t.skip('needs a temporary directory on a disk');
    const write = async (options: RunOptions): Promise<number> => {
      const began = performance.now();
      await kit.sh('dd if=/dev/zero of=/disk/f bs=64k count=16 oflag=direct 2>/dev/null', {
        ...options,
        volumes: [`${directory}:/disk`],
      });
      return performance.now() - began;
    };
    const slow = await write({ deviceWriteBps: [`${disk}:512k`] });
    // A megabyte at half a megabyte a second; the first burst is free.
    assert.ok(slow > 1400, `took ${slow} ms`);
  });

  test('blkio weight and rates are where the kernel looks', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('blkio'))) return;
    const disk = diskOf(kit.rootfs);
    if (disk === undefined) return t.skip('needs a temporary directory on a disk');
    const seen = await kit.sh('cd /sys/fs/cgroup/blkio; cat blkio*.weight blkio.throttle.*_device', {
      blkioWeight: 100,
      deviceReadBps: [`${disk}:1m`],
      deviceReadIops: [`${disk}:50`],
      deviceWriteIops: [`${disk}:60`],
    });
    assert.deepEqual(seen.trim().split('\n').sort(), ['100', `${disk} 1048576`, `${disk} 50`, `${disk} 60`].sort());
  });

  test('devices deny what is not listed, and allow what is', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    const script =
      'mknod /tmp/loop b 7 0; head -c 1 /tmp/loop >/dev/null 2>&1 && echo read || echo denied; rm /tmp/loop';
    assert.equal(await kit.sh(script), 'denied\n');
    assert.equal(await kit.sh(script, { deviceCgroupRule: ['b 7:0 r'] }), 'read\n');
    const made = await kit.sh(
      'ls -l /dev/inside; head -c 1 /dev/inside | wc -c; echo x 2>/dev/null > /dev/inside || echo ro',
      {
        device: ['/dev/zero:/dev/inside:r'],
      },
    );
    assert.match(made, /^crw.* 1, +5 .*\n1\n/);
  });

  test('a limit whose subsystem is not there is an error, and nothing runs', async (t) => {
    if (!requires(t, root, program('busybox'))) return;
    if (v1('net_cls')) return t.skip('needs a machine without net_cls');
    const marker = join(kit.directory('marker'), 'file');
    writeFileSync(marker, 'untouched');
    const error: unknown = await kit
      .run({ command: ['sh', '-c', 'echo ran > /m'], volumes: [`${marker}:/m`], netClassId: '0x10' })
      .catch((e: unknown) => e);
    assert.match(String(error), /--net-classid cannot be enforced/);
    assert.equal(readFileSync(marker, 'utf8'), 'untouched');
    assert.deepEqual(kit.leftovers(), []);
  });

  test('a value that the kernel refuses is an error that names the flag', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('cpuset'))) return;
    await assert.rejects(kit.run({ command: ['true'], cpusetCpus: '4095' }), /--cpuset-cpus: the kernel refuses 4095/);
    assert.deepEqual(kit.leftovers(), []);
  });

  test('the parent cgroup can be chosen', async (t) => {
    if (!requires(t, root, program('busybox'), subsystem('pids'))) return;
    const parent = `/tslayer-test-${process.pid}`;
    const spec = kit.spec({ command: ['sleep', '60'], cgroupParent: parent });
    const running = await kit.launcher.run(spec, { stdio: ['ignore', 'ignore', 'ignore'] });
    const { cgroups } = await kit.launcher.inspect(spec.id);
    running.kill('KILL');
    await running.exited;
    assert.ok(
      cgroups?.every((path) => path.endsWith(`${parent}/${spec.id}`)),
      cgroups?.join(),
    );
    for (const path of cgroups ?? []) rmdirSync(join(path, '..'));
  });
});
