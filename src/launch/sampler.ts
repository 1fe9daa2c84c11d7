/** Reads what a container uses from its cgroups, of either version, and from its network namespace. */
import { readFileSync } from 'node:fs';
import { hasErrno } from '../sys/libc.ts';
import { type ContainerCgroups, placeOf } from './cgroups/cgroups.ts';
import { readCgroup, readKeys, readNumber } from './cgroups/files.ts';
import { words } from './cgroups/hierarchies.ts';
import type { ContainerStats } from './stats.ts';

const NS_PER_US = 1000;
/** What v1 shows for no limit: the largest multiple of a page. */
const UNLIMITED = 2 ** 62;

type Part<K extends 'cpu' | 'memory' | 'pids' | 'io' | 'network'> = NonNullable<ContainerStats[K]>;
type CpuUsage = Omit<Part<'cpu'>, 'percent'>;

export type Usage = Pick<ContainerStats, 'memory' | 'pids' | 'io' | 'network'> & { readonly cpu?: CpuUsage };

/** @param networkPid a process in the container's network namespace; undefined for the host's. */
export function sampleUsage(cgroups: ContainerCgroups, networkPid: number | undefined): Usage {
  const [cpu, memory, pids, io] = [readCpu(cgroups), readMemory(cgroups), readPids(cgroups), readIO(cgroups)];
  const network = networkPid === undefined ? undefined : readNetwork(networkPid);
  return {
    ...(cpu && { cpu }),
    ...(memory && { memory }),
    ...(pids && { pids }),
    ...(io && { io }),
    ...(network && { network }),
  };
}

function readCpu({ places }: ContainerCgroups): CpuUsage | undefined {
  const accounting = placeOf(places, 'cpuacct', 1);
  const bandwidth = placeOf(places, 'cpu', 1);
  const v2 = places.find(({ hierarchy }) => hierarchy.version === 2);
  if (!accounting && v2) {
    const stat = readKeys(v2.directory, 'cpu.stat');
    return {
      usage: (stat.get('usage_usec') ?? 0) * NS_PER_US,
      ...throttling(stat.get('nr_throttled'), stat.get('throttled_usec'), NS_PER_US),
    };
  }
  if (!accounting) return undefined;
  const stat = bandwidth ? readKeys(bandwidth.directory, 'cpu.stat') : new Map<string, number>();
  return {
    usage: readNumber(accounting.directory, 'cpuacct.usage') ?? 0,
    perCore: words(readCgroup(accounting.directory, 'cpuacct.usage_percpu') ?? '').map(Number),
    ...throttling(stat.get('nr_throttled'), stat.get('throttled_time'), 1),
  };
}

function throttling(
  periods: number | undefined,
  time: number | undefined,
  unit: number,
): Pick<CpuUsage, 'throttledPeriods' | 'throttledTime'> {
  return periods === undefined || time === undefined ? {} : { throttledPeriods: periods, throttledTime: time * unit };
}

/** Page cache that was not used lately goes first when memory is short: it is not counted as used. */
function readMemory(cgroups: ContainerCgroups): Part<'memory'> | undefined {
  const place = placeOf(cgroups.places, 'memory');
  if (!place) return undefined;
  const { hierarchy, directory } = place;
  const v1 = hierarchy.version === 1;
  const stat = readKeys(directory, 'memory.stat');
  const total = readNumber(directory, v1 ? 'memory.usage_in_bytes' : 'memory.current') ?? 0;
  const inactive = stat.get(v1 ? 'total_inactive_file' : 'inactive_file') ?? 0;
  const limit = readNumber(directory, v1 ? 'memory.limit_in_bytes' : 'memory.max');
  return {
    usage: Math.max(0, total - inactive),
    ...(limit !== undefined && limit < UNLIMITED && { limit }),
    pageCache: stat.get(v1 ? 'total_cache' : 'file') ?? 0,
    oomKills: cgroups.oomKills(),
  };
}

function readPids({ places }: ContainerCgroups): Part<'pids'> | undefined {
  const place = placeOf(places, 'pids');
  if (!place) return undefined;
  const limit = readNumber(place.directory, 'pids.max');
  return { current: readNumber(place.directory, 'pids.current') ?? 0, ...(limit !== undefined && { limit }) };
}

function readIO({ places }: ContainerCgroups): Part<'io'> | undefined {
  const blkio = placeOf(places, 'blkio', 1);
  const io = placeOf(places, 'io', 2);
  if (blkio) {
    const bytes = blkioTotals(readCgroup(blkio.directory, 'blkio.throttle.io_service_bytes_recursive'));
    const operations = blkioTotals(readCgroup(blkio.directory, 'blkio.throttle.io_serviced_recursive'));
    return { readBytes: bytes.read, writeBytes: bytes.write, reads: operations.read, writes: operations.write };
  }
  if (!io) return undefined;
  const text = readCgroup(io.directory, 'io.stat') ?? '';
  const sum = (key: string): number =>
    [...text.matchAll(new RegExp(`\\b${key}=(\\d+)`, 'g'))].reduce((total, [, digits]) => total + Number(digits), 0);
  return { readBytes: sum('rbytes'), writeBytes: sum('wbytes'), reads: sum('rios'), writes: sum('wios') };
}

/** `254:0 Read 4096` lines, over all devices. */
function blkioTotals(text: string | undefined): { read: number; write: number } {
  const totals = { read: 0, write: 0 };
  for (const line of (text ?? '').split('\n')) {
    const [, operation, value] = line.split(' ');
    if (operation === 'Read') totals.read += Number(value);
    if (operation === 'Write') totals.write += Number(value);
  }
  return totals;
}

/** /proc/PID/net/dev: received bytes first, sent ones ninth. */
function readNetwork(pid: number): Part<'network'> | undefined {
  try {
    const lines = readFileSync(`/proc/${pid}/net/dev`, 'utf8').split('\n').slice(2);
    const interfaces = lines
      .map((line) => line.split(':'))
      .filter(([name = 'lo']) => !['', 'lo'].includes(name.trim()));
    const column = (index: number): number =>
      interfaces.reduce((total, [, numbers = '']) => total + Number(words(numbers)[index] ?? 0), 0);
    return { received: column(0), sent: column(8) };
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ESRCH', 'EINVAL')) return undefined;
    throw error;
  }
}
