/** Devices in docker's spelling: those to make, rules about them, and rates of block devices. */
import { TslayerError } from '../../errors.ts';
import type { DeviceRate, DeviceRule, DeviceSpec } from '../spec.ts';

/** What the host has at a path. */
export type StatDevice = (path: string) => Omit<DeviceSpec, 'path'>;

export interface GrantedDevice {
  readonly device: DeviceSpec;
  readonly rule: DeviceRule;
}

/** `--device /dev/fuse[:/dev/inside][:rwm]` */
export function parseDevice(text: string, statDevice: StatDevice): GrantedDevice {
  const [hostPath = '', second, third] = text.split(':');
  const secondIsAccess = second !== undefined && third === undefined && isAccess(second);
  const path = secondIsAccess || second === undefined ? hostPath : second;
  const access = secondIsAccess ? second : (third ?? 'rwm');
  if (!path.startsWith('/') || !isAccess(access)) throw wrong('--device', text, 'write PATH[:PATH INSIDE][:rwm]');
  const found = statDevice(hostPath);
  const { type, major, minor } = found;
  const source = path === hostPath ? {} : { source: hostPath };
  return { device: { ...found, path, ...source }, rule: { allow: true, type, major, minor, access } };
}

const isAccess = (text: string): boolean => /^[rwm]{1,3}$/.test(text);

/** `--device-cgroup-rule 'c 1:3 rwm'` */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type, major, minor, access] = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (type === undefined) throw wrong('--device-cgroup-rule', text, "write TYPE MAJOR:MINOR ACCESS, as in 'c 1:3 rwm'");
  return {
    allow: true,
    type: type as DeviceRule['type'],
    access: access!,
    ...(major !== '*' && { major: Number(major) }),
    ...(minor !== '*' && { minor: Number(minor) }),
  };
}

/** `/dev/sda:1mb` or `8:0:1mb`; `parse` reads the rate. */
export function parseDeviceRate(
  flag: string,
  text: string,
  statDevice: StatDevice,
  parse: (rate: string, what: string) => number,
): DeviceRate {
  const [, numbers, path, rate] = /^(?:(\d+:\d+)|(\/[^:]+)):([^:]+)$/.exec(text) ?? [];
  if (rate === undefined) throw wrong(flag, text, 'write DEVICE:RATE, as in /dev/sda:1mb');
  const [major = 0, minor = 0] = numbers ? numbers.split(':').map(Number) : [];
  const device = path === undefined ? { major, minor } : statDevice(path);
  return { major: device.major, minor: device.minor, rate: parse(rate, flag) };
}

function wrong(flag: string, text: string, hint: string): TslayerError {
  return new TslayerError('INVALID_ARGUMENT', `${flag} ${JSON.stringify(text)} is not understood`, { hint });
}
