/** Which profile a container gets; reads docker's profile files. */
import * as v from 'valibot';
import { parseJson } from '../../oci/descriptor.ts';
import { type CapabilityName, parseCapability } from '../capabilities.ts';
import { defaultProfile } from './default-profile.ts';
import type { SeccompAction, SeccompOperator, SeccompProfile, SeccompRule } from './profile.ts';

/** @param which `default`, `unconfined` (no filter), or the path of a profile. */
export function chooseProfile(
  which: string,
  capabilities: readonly CapabilityName[],
  readText: (path: string) => string,
): SeccompProfile | 'default' | undefined {
  if (which === 'unconfined') return undefined;
  if (which === 'default') return 'default';
  return parseProfile(readText(which), which, capabilities);
}

/** The rules behind the word. */
export function profileOf(
  seccomp: SeccompProfile | 'default',
  capabilities: readonly CapabilityName[],
): SeccompProfile {
  return seccomp === 'default' ? defaultProfile(capabilities) : seccomp;
}

const ACTIONS: readonly SeccompAction[] = [
  'SCMP_ACT_ALLOW',
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_KILL',
  'SCMP_ACT_KILL_PROCESS',
  'SCMP_ACT_KILL_THREAD',
  'SCMP_ACT_LOG',
  'SCMP_ACT_TRAP',
];
const OPERATORS: readonly SeccompOperator[] = [
  'SCMP_CMP_EQ',
  'SCMP_CMP_NE',
  'SCMP_CMP_LT',
  'SCMP_CMP_LE',
  'SCMP_CMP_GT',
  'SCMP_CMP_GE',
  'SCMP_CMP_MASKED_EQ',
];

const action = v.picklist(ACTIONS);
const count = v.pipe(v.number(), v.minValue(0));
const conditions = v.nullish(
  v.object({ caps: v.nullish(v.array(v.string())), arches: v.nullish(v.array(v.string())) }),
);

const ProfileSchema = v.object({
  defaultAction: action,
  defaultErrnoRet: v.nullish(count),
  syscalls: v.nullish(
    v.array(
      v.object({
        name: v.nullish(v.string()),
        names: v.nullish(v.array(v.string())),
        action,
        errnoRet: v.nullish(count),
        args: v.nullish(
          v.array(
            v.object({
              index: v.pipe(count, v.maxValue(5)),
              value: count,
              valueTwo: v.nullish(count),
              op: v.picklist(OPERATORS),
            }),
          ),
        ),
        includes: conditions,
        excludes: conditions,
      }),
    ),
  ),
});

type RawConditions = v.InferOutput<typeof conditions>;

/** Docker's names of the architectures whose rules count on this machine. */
const ARCHES: Readonly<Record<string, readonly string[]>> = {
  x64: ['amd64', 'x86', 'x32'],
  arm64: ['arm64', 'arm'],
};

/** A profile file with its conditions resolved for these capabilities and this machine. */
export function parseProfile(
  text: string,
  what: string,
  capabilities: readonly CapabilityName[],
  arch: string = process.arch,
): SeccompProfile {
  const raw = parseJson(text, ProfileSchema, `the seccomp profile ${what}`);
  const names = ARCHES[arch] ?? [];
  const meets = (caps: readonly string[]): boolean => caps.some((cap) => capabilities.includes(parseCapability(cap)));
  const speaks = (arches: readonly string[]): boolean => arches.some((name) => names.includes(name));
  const included = (when: RawConditions): boolean =>
    (!when?.caps?.length || when.caps.every((cap) => meets([cap]))) && (!when?.arches?.length || speaks(when.arches));
  const excluded = (when: RawConditions): boolean => meets(when?.caps ?? []) || speaks(when?.arches ?? []);
  const rules = (raw.syscalls ?? []).filter(({ includes, excludes }) => included(includes) && !excluded(excludes));
  return {
    defaultAction: raw.defaultAction,
    ...(typeof raw.defaultErrnoRet === 'number' && { defaultErrnoRet: raw.defaultErrnoRet }),
    syscalls: rules.map(
      (rule): SeccompRule => ({
        names: [...(rule.names ?? []), ...(rule.name ? [rule.name] : [])],
        action: rule.action,
        ...(typeof rule.errnoRet === 'number' && { errnoRet: rule.errnoRet }),
        ...(rule.args?.length && {
          args: rule.args.map(({ index, value, valueTwo, op }) => ({ index, value, op, valueTwo: valueTwo ?? 0 })),
        }),
      }),
    ),
  };
}
