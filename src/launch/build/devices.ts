/** Which devices a container has, and which it may use. */
import { DEFAULT_DEVICE_RULES, DEFAULT_DEVICES } from '../defaults.ts';
import type { SpecHost } from '../host.ts';
import { parseDevice, parseDeviceRule } from '../options/devices.ts';
import type { RunOptions } from '../run-options.ts';
import type { DeviceRule, DeviceSpec } from '../spec.ts';

export function chooseDevices(options: RunOptions, host: SpecHost): { devices: DeviceSpec[]; rules: DeviceRule[] } {
  const granted = (options.device ?? []).map((text) => parseDevice(text, host.statDevice));
  const rules = (options.deviceCgroupRule ?? []).map(parseDeviceRule);
  if (options.privileged) {
    const own = new Set(DEFAULT_DEVICES.map(({ path }) => path));
    const rest = host.allDevices().filter(({ path }) => !own.has(path));
    return { devices: [...DEFAULT_DEVICES, ...rest], rules: [{ allow: true, type: 'a', access: 'rwm' }] };
  }
  return {
    devices: [...DEFAULT_DEVICES, ...granted.map(({ device }) => device)],
    rules: [...DEFAULT_DEVICE_RULES, ...granted.map(({ rule }) => rule), ...rules],
  };
}
