/** cgroup version 2: Documentation/admin-guide/cgroup-v2. Device rules are a program there: device-program.ts. */
import type { DeviceRate } from '../spec.ts';
import { type CgroupWrite, given, type Limits, write } from './writes.ts';

const DEFAULT_PERIOD = 100_000;

export function writesV2(limits: Limits): CgroupWrite[] {
  const { memory, cpu, pids, blockIO, network } = limits;
  return [
    ...given(memory?.limit, (bytes) => [write('memory', 'memory.max', bytes, '--memory')]),
    ...given(memory?.reservation, (bytes) => [write('memory', 'memory.low', bytes, '--memory-reservation')]),
    ...swap(memory),
    ...given(cpu?.shares, (shares) => [write('cpu', 'cpu.weight', weightOfShares(shares), '--cpu-shares')]),
    ...bandwidth(cpu),
    ...given(cpu?.cpus, (cpus) => [write('cpuset', 'cpuset.cpus', cpus, '--cpuset-cpus')]),
    ...given(cpu?.mems, (mems) => [write('cpuset', 'cpuset.mems', mems, '--cpuset-mems')]),
    ...given(pids?.limit, (limit) => [write('pids', 'pids.max', limit, '--pids-limit')]),
    ...given(blockIO?.weight, (weight) => [
      write('io', ['io.bfq.weight', 'io.weight'], weightOfBlkio(weight), '--blkio-weight'),
    ]),
    ...throttle('rbps', blockIO?.throttleReadBpsDevice, '--device-read-bps'),
    ...throttle('wbps', blockIO?.throttleWriteBpsDevice, '--device-write-bps'),
    ...throttle('riops', blockIO?.throttleReadIOPSDevice, '--device-read-iops'),
    ...throttle('wiops', blockIO?.throttleWriteIOPSDevice, '--device-write-iops'),
    // Version 2 has no such subsystem: asking for it is an error wherever it is asked.
    ...given(network, ({ classID }) => [write('net_cls', 'net_cls.classid', classID, '--net-classid')]),
  ];
}

/** Version 2 counts swap alone, docker counts memory and swap together. */
function swap(memory: Limits['memory']): CgroupWrite[] {
  if (memory?.limit === undefined) return [];
  const file = 'memory.swap.max';
  if (memory.swap === undefined) return [{ ...write('memory', file, memory.limit, '--memory'), optional: true }];
  const value = memory.swap === -1 ? 'max' : memory.swap - memory.limit;
  return [write('memory', file, value, '--memory-swap')];
}

function bandwidth(cpu: Limits['cpu']): CgroupWrite[] {
  if (cpu?.quota === undefined && cpu?.period === undefined) return [];
  const quota = cpu.quota === undefined || cpu.quota < 0 ? 'max' : cpu.quota;
  return [write('cpu', 'cpu.max', `${quota} ${cpu.period ?? DEFAULT_PERIOD}`, '--cpus')];
}

/** Shares go from 2 to 262144, weights from 1 to 10000: the runtimes' common straight line. */
export function weightOfShares(shares: number): number {
  return 1 + Math.floor(((Math.max(shares, 2) - 2) * 9999) / 262142);
}

/** 10…1000 → 1…10000 */
export function weightOfBlkio(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

function throttle(key: string, rates: readonly DeviceRate[] | undefined, what: string): CgroupWrite[] {
  return (rates ?? []).map(({ major, minor, rate }) => write('io', 'io.max', `${major}:${minor} ${key}=${rate}`, what));
}
