/** cgroup version 1: cgroups(7), Documentation/admin-guide/cgroup-v1. */
import type { DeviceRate, DeviceRule } from '../spec.ts';
import { type CgroupWrite, given, type Limits, write } from './writes.ts';

/** Memory before memory and swap: the kernel keeps the second at or above the first. */
export function writesV1(limits: Limits): CgroupWrite[] {
  const { memory, cpu, pids, blockIO, network } = limits;
  return [
    ...given(memory?.limit, (bytes) => [write('memory', 'memory.limit_in_bytes', bytes, '--memory')]),
    ...given(memory?.reservation, (bytes) => [
      write('memory', 'memory.soft_limit_in_bytes', bytes, '--memory-reservation'),
    ]),
    ...memoryAndSwap(memory),
    ...given(cpu?.shares, (shares) => [write('cpu', 'cpu.shares', shares, '--cpu-shares')]),
    ...given(cpu?.period, (period) => [write('cpu', 'cpu.cfs_period_us', period, '--cpus')]),
    ...given(cpu?.quota, (quota) => [write('cpu', 'cpu.cfs_quota_us', quota, '--cpus')]),
    ...given(cpu?.cpus, (cpus) => [write('cpuset', 'cpuset.cpus', cpus, '--cpuset-cpus')]),
    ...given(cpu?.mems, (mems) => [write('cpuset', 'cpuset.mems', mems, '--cpuset-mems')]),
    ...given(pids?.limit, (limit) => [write('pids', 'pids.max', limit, '--pids-limit')]),
    ...given(blockIO?.weight, (weight) => [
      write('blkio', ['blkio.weight', 'blkio.bfq.weight'], weight, '--blkio-weight'),
    ]),
    ...throttle('read_bps', blockIO?.throttleReadBpsDevice, '--device-read-bps'),
    ...throttle('write_bps', blockIO?.throttleWriteBpsDevice, '--device-write-bps'),
    ...throttle('read_iops', blockIO?.throttleReadIOPSDevice, '--device-read-iops'),
    ...throttle('write_iops', blockIO?.throttleWriteIOPSDevice, '--device-write-iops'),
    ...given(network, ({ classID }) => [write('net_cls', 'net_cls.classid', classID, '--net-classid')]),
  ];
}

/** Docker's default, twice the memory, is set where the kernel counts swap. */
function memoryAndSwap(memory: Limits['memory']): CgroupWrite[] {
  if (memory?.limit === undefined) return [];
  const file = 'memory.memsw.limit_in_bytes';
  if (memory.swap !== undefined) return [write('memory', file, memory.swap, '--memory-swap')];
  return [{ ...write('memory', file, memory.limit * 2, '--memory'), optional: true }];
}

function throttle(which: string, rates: readonly DeviceRate[] | undefined, what: string): CgroupWrite[] {
  const file = `blkio.throttle.${which}_device`;
  return (rates ?? []).map(({ major, minor, rate }) => write('blkio', file, `${major}:${minor} ${rate}`, what));
}

/** The devices subsystem takes the rules one by one, as they come. */
export function deviceWritesV1(rules: readonly DeviceRule[]): CgroupWrite[] {
  return rules.map(({ allow, type, major, minor, access }) => {
    const value = type === 'a' ? 'a' : `${type} ${major ?? '*'}:${minor ?? '*'} ${access}`;
    return write('devices', allow ? 'devices.allow' : 'devices.deny', value, '--device');
  });
}
