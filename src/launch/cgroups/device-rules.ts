/** What a list of device rules comes to, as the kernel's devices subsystem keeps it: a default, and exceptions. */
import type { DeviceRule } from '../spec.ts';

export interface DeviceException {
  readonly type: 'c' | 'b';
  /** Absent: any. */
  readonly major?: number;
  readonly minor?: number;
  /** Some of `rwm`. */
  readonly access: string;
}

export interface DevicePolicy {
  readonly allowByDefault: boolean;
  readonly exceptions: readonly DeviceException[];
}

export function resolveRules(rules: readonly DeviceRule[]): DevicePolicy {
  let allowByDefault = false;
  const exceptions = new Map<string, DeviceException>();
  for (const rule of rules) {
    if (rule.type === 'a' && rule.major === undefined && rule.minor === undefined) {
      allowByDefault = rule.allow;
      exceptions.clear();
      continue;
    }
    for (const type of rule.type === 'a' ? (['c', 'b'] as const) : [rule.type]) {
      const key = `${type} ${rule.major ?? '*'}:${rule.minor ?? '*'}`;
      const former = exceptions.get(key)?.access ?? '';
      // Against the default: an exception. With it: the end of one.
      const access = rule.allow !== allowByDefault ? union(former, rule.access) : difference(former, rule.access);
      if (access === '') exceptions.delete(key);
      else exceptions.set(key, { ...numbers(rule), type, access });
    }
  }
  return { allowByDefault, exceptions: [...exceptions.values()] };
}

function numbers({ major, minor }: DeviceRule): Pick<DeviceException, 'major' | 'minor'> {
  return { ...(major !== undefined && { major }), ...(minor !== undefined && { minor }) };
}

const union = (a: string, b: string): string => [...new Set(a + b)].join('');
const difference = (a: string, b: string): string => [...a].filter((letter) => !b.includes(letter)).join('');
