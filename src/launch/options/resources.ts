/** Limits in docker's words, as the OCI specification's resources. */
import { TslayerError } from '../../errors.ts';
import type { RunOptions } from '../run-options.ts';
import type { DeviceRate, DeviceRule, Resources } from '../spec.ts';
import { parseDeviceRate, type StatDevice } from './devices.ts';
import { parseBytes, parseBytesOrUnlimited, parseCpus, parseInteger } from './sizes.ts';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** The object without its undefined fields; undefined when nothing is left. */
function some<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T | undefined {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as T);
}

export function parseResources(options: RunOptions, devices: readonly DeviceRule[], statDevice: StatDevice): Resources {
  const resources: Writable<Resources> = { devices };
  const memory = parseMemory(options);
  const cpu = parseCpu(options);
  const blockIO = parseBlockIO(options, statDevice);
  if (memory) resources.memory = memory;
  if (cpu) resources.cpu = cpu;
  if (blockIO) resources.blockIO = blockIO;
  if (options.pidsLimit !== undefined && options.pidsLimit > 0) resources.pids = { limit: options.pidsLimit };
  if (options.netClassId !== undefined) resources.network = { classID: parseInteger(options.netClassId, 'net class') };
  return resources;
}

const MIN_MEMORY = 6 * 1024 * 1024;

/** Docker's rules: no less than 6 MB, and as much swap again as memory unless something else is said. */
function parseMemory(options: RunOptions): Resources['memory'] {
  const limit = options.memory === undefined ? undefined : parseBytes(options.memory, '--memory');
  if (limit !== undefined && limit < MIN_MEMORY) {
    throw new TslayerError('INVALID_ARGUMENT', '--memory: a container needs at least 6m');
  }
  const swap =
    options.memorySwap === undefined ? undefined : parseBytesOrUnlimited(options.memorySwap, '--memory-swap');
  if (swap !== undefined && limit === undefined) {
    throw new TslayerError('INVALID_ARGUMENT', '--memory-swap counts memory and swap together: say --memory too');
  }
  if (swap !== undefined && swap !== -1 && swap < limit!) {
    throw new TslayerError('INVALID_ARGUMENT', '--memory-swap is less than --memory, which it includes');
  }
  return some<NonNullable<Resources['memory']>>({
    limit,
    reservation:
      options.memoryReservation === undefined
        ? undefined
        : parseBytes(options.memoryReservation, '--memory-reservation'),
    swap,
  });
}

function parseCpu(options: RunOptions): Resources['cpu'] {
  if (options.cpus !== undefined && (options.cpuQuota !== undefined || options.cpuPeriod !== undefined)) {
    throw new TslayerError('INVALID_ARGUMENT', '--cpus and --cpu-quota or --cpu-period say the same: choose one');
  }
  const bandwidth =
    options.cpus === undefined ? { quota: options.cpuQuota, period: options.cpuPeriod } : parseCpus(options.cpus);
  return some<NonNullable<Resources['cpu']>>({
    shares: options.cpuShares,
    ...bandwidth,
    cpus: options.cpusetCpus,
    mems: options.cpusetMems,
  });
}

function parseBlockIO(options: RunOptions, statDevice: StatDevice): Resources['blockIO'] {
  const weight = options.blkioWeight;
  if (weight !== undefined && (weight < 10 || weight > 1000)) {
    throw new TslayerError('INVALID_ARGUMENT', '--blkio-weight goes from 10 to 1000');
  }
  const rates = (
    flag: string,
    texts: readonly string[] | undefined,
    parse: (rate: string, what: string) => number,
  ): DeviceRate[] | undefined => texts?.map((text) => parseDeviceRate(flag, text, statDevice, parse));
  return some<NonNullable<Resources['blockIO']>>({
    weight,
    weightDevice: undefined,
    throttleReadBpsDevice: rates('--device-read-bps', options.deviceReadBps, parseBytes),
    throttleWriteBpsDevice: rates('--device-write-bps', options.deviceWriteBps, parseBytes),
    throttleReadIOPSDevice: rates('--device-read-iops', options.deviceReadIops, parseInteger),
    throttleWriteIOPSDevice: rates('--device-write-iops', options.deviceWriteIops, parseInteger),
  });
}
