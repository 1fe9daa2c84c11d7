/**
 * Device rules for cgroup version 2: an eBPF program of the type BPF_PROG_TYPE_CGROUP_DEVICE, which the kernel asks
 * at every open and mknod of a device. It gets struct bpf_cgroup_dev_ctx { access << 16 | type, major, minor } and
 * answers 1 or 0.
 */
import type { DeviceRule } from '../spec.ts';
import { type DeviceException, type DevicePolicy, resolveRules } from './device-rules.ts';

/** struct bpf_insn; jumps count from the next instruction. */
export interface EbpfInstruction {
  readonly code: number;
  readonly dst: number;
  readonly src: number;
  readonly offset: number;
  readonly immediate: number;
}

const LOAD_WORD = 0x61; // dst = *(u32 *)(src + offset)
const MOVE_REGISTER = 0xbf;
const MOVE = 0xb7;
const AND_32 = 0x54;
const SHIFT_RIGHT_32 = 0x74;
const JUMP_NOT_EQUAL = 0x55;
const JUMP_EQUAL = 0x15;
const EXIT = 0x95;

const [R0, CONTEXT, TYPE, ACCESS, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5];
const TYPES = { b: 1, c: 2 } as const;
const ACCESSES: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

const op = (code: number, dst: number, immediate = 0, src = 0, offset = 0): EbpfInstruction => ({
  code,
  dst,
  src,
  offset,
  immediate,
});

export function deviceProgram(rules: readonly DeviceRule[]): EbpfInstruction[] {
  const policy = resolveRules(rules);
  return [
    op(LOAD_WORD, TYPE, 0, CONTEXT, 0),
    op(MOVE_REGISTER, ACCESS, 0, TYPE),
    op(AND_32, TYPE, 0xffff),
    op(SHIFT_RIGHT_32, ACCESS, 16),
    op(LOAD_WORD, MAJOR, 0, CONTEXT, 4),
    op(LOAD_WORD, MINOR, 0, CONTEXT, 8),
    ...policy.exceptions.flatMap((exception) => match(exception, policy)),
    ...answer(policy.allowByDefault),
  ];
}

const answer = (allow: boolean): EbpfInstruction[] => [op(MOVE, R0, allow ? 1 : 0), op(EXIT, 0)];

/** Answers the opposite of the default when the exception fits, else goes on behind it. */
function match(exception: DeviceException, { allowByDefault }: DevicePolicy): EbpfInstruction[] {
  const mask = [...exception.access].reduce((bits, letter) => bits | (ACCESSES[letter] ?? 0), 0);
  const tests: [code: number, register: number, value: number][] = [[JUMP_NOT_EQUAL, TYPE, TYPES[exception.type]]];
  if (exception.major !== undefined) tests.push([JUMP_NOT_EQUAL, MAJOR, exception.major]);
  if (exception.minor !== undefined) tests.push([JUMP_NOT_EQUAL, MINOR, exception.minor]);
  // Allowed is what is asked for and nothing more; denied is any part of it.
  const masked = [op(MOVE_REGISTER, R0, 0, ACCESS), op(AND_32, R0, allowByDefault ? mask : ~mask & 0xffff)];
  const last: [number, number, number] = [allowByDefault ? JUMP_EQUAL : JUMP_NOT_EQUAL, R0, 0];
  const verdict = answer(!allowByDefault);
  const after = masked.length + 1 + verdict.length;
  return [
    ...tests.map(([code, register, value], i) => op(code, register, value, 0, tests.length - i - 1 + after)),
    ...masked,
    op(last[0], last[1], last[2], 0, verdict.length),
    ...verdict,
  ];
}

/** As bpf(2) takes it: 8 bytes each, little endian. */
export function encodeEbpf(program: readonly EbpfInstruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, dst, src, offset, immediate }] of program.entries()) {
    bytes.writeUInt8(code, i * 8);
    bytes.writeUInt8((src << 4) | dst, i * 8 + 1);
    bytes.writeInt16LE(offset, i * 8 + 2);
    bytes.writeInt32LE(immediate, i * 8 + 4);
  }
  return bytes;
}
