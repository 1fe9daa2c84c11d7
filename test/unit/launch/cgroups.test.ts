import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ContainerCgroups } from '../../../src/launch/cgroups/cgroups.ts';
import { findHierarchies, wantedHierarchies } from '../../../src/launch/cgroups/hierarchies.ts';
import { deviceWritesV1, writesV1 } from '../../../src/launch/cgroups/v1.ts';
import { weightOfBlkio, weightOfShares, writesV2 } from '../../../src/launch/cgroups/v2.ts';
import type { CgroupWrite, Limits } from '../../../src/launch/cgroups/writes.ts';
import { DEFAULT_DEVICE_RULES } from '../../../src/launch/defaults.ts';
import { sampleUsage } from '../../../src/launch/sampler.ts';
import { parseMountInfo } from '../../../src/mounts/mountinfo.ts';

const HYBRID = `31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
`;

const hierarchies = (text: string) => findHierarchies(parseMountInfo(Buffer.from(text)), () => []);
const shown = (writes: readonly CgroupWrite[]): string[] =>
  writes.map(({ subsystem, files, value }) => `${subsystem}: ${files.join('|')} = ${value}`);

const ALL: Limits = {
  memory: { limit: 100, reservation: 50, swap: 150 },
  cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: '0-1', mems: '0' },
  pids: { limit: 7 },
  blockIO: {
    weight: 500,
    throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
    throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 2 }],
    throttleReadIOPSDevice: [{ major: 8, minor: 0, rate: 3 }],
    throttleWriteIOPSDevice: [{ major: 8, minor: 0, rate: 4 }],
  },
  network: { classID: 16 },
};

describe('cgroup hierarchies', () => {
  test('are found by what is mounted, of both versions at once', () => {
    assert.deepEqual(
      hierarchies(HYBRID).map(({ version, mountpoint, subsystems }) => [version, mountpoint, subsystems]),
      [
        [1, '/sys/fs/cgroup/cpu,cpuacct', ['cpu', 'cpuacct']],
        [1, '/sys/fs/cgroup/memory', ['memory']],
        [1, '/sys/fs/cgroup/systemd', []],
        [2, '/sys/fs/cgroup/unified', []],
      ],
    );
  });

  test('without a subsystem that containers need are left alone', () => {
    assert.deepEqual(
      wantedHierarchies(hierarchies(HYBRID)).map(({ mountpoint }) => mountpoint),
      ['/sys/fs/cgroup/cpu,cpuacct', '/sys/fs/cgroup/memory'],
    );
  });

  test('of version 2 serve without controllers where there is nothing else', () => {
    const only = hierarchies('41 31 0:38 / /nowhere/cgroup rw - cgroup2 cgroup2 rw\n');
    assert.deepEqual(wantedHierarchies(only), only);
  });

  test('that are mounted twice count once, where they were mounted first', () => {
    const twice = HYBRID + HYBRID.replaceAll('/sys/fs/cgroup', '/elsewhere');
    assert.equal(hierarchies(twice).length, 4);
    assert.ok(hierarchies(twice).every(({ mountpoint }) => mountpoint.startsWith('/sys')));
  });
});

describe('limits', () => {
  test('as version 1 takes them: swap together with memory, and after it', () => {
    assert.deepEqual(shown(writesV1(ALL)), [
      'memory: memory.limit_in_bytes = 100',
      'memory: memory.soft_limit_in_bytes = 50',
      'memory: memory.memsw.limit_in_bytes = 150',
      'cpu: cpu.shares = 512',
      'cpu: cpu.cfs_period_us = 100000',
      'cpu: cpu.cfs_quota_us = 50000',
      'cpuset: cpuset.cpus = 0-1',
      'cpuset: cpuset.mems = 0',
      'pids: pids.max = 7',
      'blkio: blkio.weight|blkio.bfq.weight = 500',
      'blkio: blkio.throttle.read_bps_device = 8:0 1',
      'blkio: blkio.throttle.write_bps_device = 8:0 2',
      'blkio: blkio.throttle.read_iops_device = 8:0 3',
      'blkio: blkio.throttle.write_iops_device = 8:0 4',
      'net_cls: net_cls.classid = 16',
    ]);
  });

  test('as version 2 takes them: swap alone, weights instead of shares', () => {
    assert.deepEqual(shown(writesV2(ALL)), [
      'memory: memory.max = 100',
      'memory: memory.low = 50',
      'memory: memory.swap.max = 50',
      'cpu: cpu.weight = 20',
      'cpu: cpu.max = 50000 100000',
      'cpuset: cpuset.cpus = 0-1',
      'cpuset: cpuset.mems = 0',
      'pids: pids.max = 7',
      'io: io.bfq.weight|io.weight = 4950',
      'io: io.max = 8:0 rbps=1',
      'io: io.max = 8:0 wbps=2',
      'io: io.max = 8:0 riops=3',
      'io: io.max = 8:0 wiops=4',
      'net_cls: net_cls.classid = 16',
    ]);
  });

  test('name the same flags in both versions, so that none is lost between them', () => {
    const flags = (writes: readonly CgroupWrite[]): string[] => [...new Set(writes.map(({ what }) => what))].sort();
    assert.deepEqual(flags(writesV1(ALL)), flags(writesV2(ALL)));
  });

  test('docker’s unspoken swap is set where it can be, and unlimited where that is said', () => {
    const [v1, v2] = [writesV1({ memory: { limit: 100 } }), writesV2({ memory: { limit: 100 } })];
    assert.deepEqual([v1.at(-1)?.value, v1.at(-1)?.optional], ['200', true]);
    assert.deepEqual([v2.at(-1)?.value, v2.at(-1)?.optional], ['100', true]);
    assert.equal(writesV1({ memory: { limit: 100, swap: -1 } }).at(-1)?.value, '-1');
    assert.equal(writesV2({ memory: { limit: 100, swap: -1 } }).at(-1)?.value, 'max');
  });

  test('weights keep their ends', () => {
    assert.deepEqual([2, 262_144, 0].map(weightOfShares), [1, 10_000, 1]);
    assert.deepEqual([10, 1000].map(weightOfBlkio), [1, 10_000]);
  });

  test('of devices are one rule after the other in version 1, first of all “none”', () => {
    const [first, second, , third] = deviceWritesV1(DEFAULT_DEVICE_RULES);
    assert.deepEqual([first?.files, first?.value], [['devices.deny'], 'a']);
    assert.deepEqual([second?.files, second?.value], [['devices.allow'], 'c *:* m']);
    assert.equal(third?.value, 'c 1:3 rwm');
  });
});

test('what no cgroup counts is absent, not zero', () => {
  assert.deepEqual(sampleUsage(new ContainerCgroups([]), undefined), {});
});
