/** Runs classic BPF over struct seccomp_data: what the kernel would decide, and in how many steps. */
import { type Instruction, JEQ, JGE, JGT } from '../../src/launch/seccomp/bpf.ts';

const LD_W_ABS = 0x20;
const ALU_AND_K = 0x54;
const JMP_JA = 0x05;
const RET_K = 0x06;

export function runBpf(program: readonly Instruction[], data: Uint8Array): { value: number; steps: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let a = 0;
  for (let pc = 0, steps = 1; ; steps++) {
    const instruction = program[pc];
    if (!instruction) throw new Error('ran off the end');
    const { code, jt, jf, k } = instruction;
    pc++;
    if (code === RET_K) return { value: k >>> 0, steps };
    if (code === LD_W_ABS) a = view.getUint32(k, true);
    else if (code === ALU_AND_K) a = (a & k) >>> 0;
    else if (code === JMP_JA) pc += k;
    else pc += compare(code, a, k >>> 0) ? jt : jf;
  }
}

function compare(code: number, a: number, k: number): boolean {
  if (code === JEQ) return a === k;
  if (code === JGT) return a > k;
  if (code === JGE) return a >= k;
  throw new Error(`instruction ${code} is not known`);
}
