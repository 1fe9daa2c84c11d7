/**
 * Compiles a profile to a seccomp filter: seccomp(2). The numbers of each calling convention become a binary tree of
 * ranges with the same verdict, so that any system call is decided in under twenty steps; a list would take hundreds,
 * on every call that every program of the container makes.
 */
import { TslayerError } from '../../errors.ts';
import { and, assemble, branch, type Decision, encode, type Instruction, JEQ, JGE, JGT, load, ret } from './bpf.ts';
import type { SeccompAction, SeccompArgument, SeccompProfile, SeccompRule } from './profile.ts';
import { type Abi, abisOf } from './syscalls.ts';

// struct seccomp_data
const NUMBER_AT = 0;
const ARCH_AT = 4;
const ARGUMENTS_AT = 16;

const RET_KILL_PROCESS = 0x80000000;
const RET_KILL_THREAD = 0;
const RET_TRAP = 0x00030000;
const RET_ERRNO = 0x00050000;
const RET_LOG = 0x7ffc0000;
const RET_ALLOW = 0x7fff0000;
const EPERM = 1;
const ENOSYS = 38;
/** The kernel's limit, BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;

function verdictOf(action: SeccompAction, errno: number): number {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return RET_ALLOW;
    case 'SCMP_ACT_ERRNO':
      return RET_ERRNO | (errno & 0xffff);
    case 'SCMP_ACT_KILL_PROCESS':
      return RET_KILL_PROCESS;
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return RET_KILL_THREAD;
    case 'SCMP_ACT_LOG':
      return RET_LOG;
    case 'SCMP_ACT_TRAP':
      return RET_TRAP;
  }
}

/** The filter as bytes for seccomp(2). A process that speaks an unknown convention is killed. */
export function compileProfile(profile: SeccompProfile, arch: string = process.arch): Buffer {
  return encode(compile(profile, arch));
}

export function compile(profile: SeccompProfile, arch: string): Instruction[] {
  const abis = abisOf(arch).filter(({ name }) => profile.architectures?.includes(name) ?? true);
  const decision = abis.reduceRight<Decision>(
    (others, abi) => branch(JEQ, abi.audit, load(NUMBER_AT, decideAbi(profile, abi)), others),
    ret(RET_KILL_PROCESS),
  );
  try {
    return assemble(load(ARCH_AT, decision), MAX_INSTRUCTIONS);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    const limit = `the kernel takes ${MAX_INSTRUCTIONS} instructions`;
    throw new TslayerError('LIMIT_EXCEEDED', `the seccomp profile is too long: ${limit}`, { cause });
  }
}

/** From this number on until the next range's, the same decision holds. */
interface Range {
  readonly first: number;
  readonly decision: Decision;
}

/** 32-bit ARM has calls of its own from 0xf0000 on; everything else is numbered in order. */
const PRIVATE_NUMBERS = 0xf0000;

function decideAbi(profile: SeccompProfile, abi: Abi): Decision {
  const verdict = sharedVerdicts();
  const otherwise = verdict(profile.defaultAction, profile.defaultErrnoRet ?? EPERM);
  const known = Math.max(...[...abi.numbers.values()].filter((number) => number < PRIVATE_NUMBERS));
  const end = abi.limit ?? PRIVATE_NUMBERS;
  // Calls newer than the list: a program that hears ENOSYS falls back to an older one; EPERM it takes for an answer.
  const unknown = profile.defaultAction === 'SCMP_ACT_ERRNO' ? verdict('SCMP_ACT_ERRNO', ENOSYS) : otherwise;
  const unnamed = (number: number): Decision => (number > known && number < end ? unknown : otherwise);
  const starts = new Map([0, known + 1, end].map((number) => [number, unnamed(number)]));
  const rules = rulesByNumber(profile, abi);
  for (const number of rules.keys()) starts.set(number + 1, unnamed(number + 1));
  for (const [number, own] of rules) starts.set(number, decideRules(own, otherwise, verdict));
  const ranges = [...starts].toSorted(([a], [b]) => a - b).map(([first, decision]): Range => ({ first, decision }));
  return tree(ranges.filter(({ decision }, i) => ranges[i - 1]?.decision !== decision));
}

/** Names of other architectures are no mistake: they are left out. */
function rulesByNumber(profile: SeccompProfile, abi: Abi): Map<number, SeccompRule[]> {
  const rules = new Map<number, SeccompRule[]>();
  for (const rule of profile.syscalls) {
    for (const name of rule.names) {
      const number = abi.numbers.get(name);
      if (number !== undefined) rules.set(number, [...(rules.get(number) ?? []), rule]);
    }
  }
  return rules;
}

type Verdict = (action: SeccompAction, errno: number) => Decision;

/** One decision for each verdict, so that equal ones are seen to be equal. */
function sharedVerdicts(): Verdict {
  const known = new Map<number, Decision>();
  return (action, errno) => {
    const value = verdictOf(action, errno);
    const decision = known.get(value) ?? ret(value);
    known.set(value, decision);
    return decision;
  };
}

function tree(ranges: readonly Range[]): Decision {
  if (ranges.length === 1) return ranges[0]!.decision;
  const middle = ranges.length >> 1;
  return branch(JGE, ranges[middle]!.first, tree(ranges.slice(middle)), tree(ranges.slice(0, middle)));
}

/** Rules with conditions are asked in order, the one without last, whatever the order they stand in. */
function decideRules(rules: readonly SeccompRule[], otherwise: Decision, verdict: Verdict): Decision {
  const hasArguments = ({ args }: SeccompRule): boolean => args !== undefined && args.length > 0;
  const decided = (rule: SeccompRule): Decision => verdict(rule.action, rule.errnoRet ?? EPERM);
  const plain = rules.find((rule) => !hasArguments(rule));
  return rules
    .filter(hasArguments)
    .reduceRight<Decision>(
      (next, rule) =>
        rule.args!.reduceRight<Decision>((met, argument) => condition(argument, met, next), decided(rule)),
      plain ? decided(plain) : otherwise,
    );
}

/** A 64-bit comparison out of 32-bit ones: `met` when the condition holds, else `failed`. */
function condition(argument: SeccompArgument, met: Decision, failed: Decision): Decision {
  const { index, op } = argument;
  const value = BigInt(op === 'SCMP_CMP_MASKED_EQ' ? (argument.valueTwo ?? 0) : argument.value);
  const mask = op === 'SCMP_CMP_MASKED_EQ' ? BigInt(argument.value) : undefined;
  const [low, high] = [Number(value & 0xffffffffn), Number(value >> 32n)];
  const word = (half: 0 | 1, next: Decision): Decision => {
    const masked = mask === undefined ? next : and(Number((mask >> BigInt(half * 32)) & 0xffffffffn), next);
    return load(ARGUMENTS_AT + index * 8 + half * 4, masked);
  };
  const compareLow = (jump: number, yes: Decision, no: Decision): Decision => word(0, branch(jump, low, yes, no));
  const equal = (yes: Decision, no: Decision): Decision => word(1, branch(JEQ, high, compareLow(JEQ, yes, no), no));
  /** The high words decide unless they are equal. */
  const ordered = (jump: number, yes: Decision, no: Decision): Decision =>
    word(1, branch(JGT, high, yes, branch(JEQ, high, compareLow(jump, yes, no), no)));
  switch (op) {
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_MASKED_EQ':
      return equal(met, failed);
    case 'SCMP_CMP_NE':
      return equal(failed, met);
    case 'SCMP_CMP_GT':
      return ordered(JGT, met, failed);
    case 'SCMP_CMP_GE':
      return ordered(JGE, met, failed);
    case 'SCMP_CMP_LT':
      return ordered(JGE, failed, met);
    case 'SCMP_CMP_LE':
      return ordered(JGT, failed, met);
  }
}
