/** Classic BPF, as seccomp takes it: instructions, and programs put together from the end backwards. */

/** struct sock_filter. Jumps count from the next instruction. */
export interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const LD_W_ABS = 0x20;
const ALU_AND_K = 0x54;
const JMP_JA = 0x05;
export const JEQ = 0x15;
export const JGT = 0x25;
export const JGE = 0x35;
const RET_K = 0x06;
const MAX_JUMP = 255;

export const load = (offset: number): Instruction => ({ code: LD_W_ABS, jt: 0, jf: 0, k: offset });
export const and = (mask: number): Instruction => ({ code: ALU_AND_K, jt: 0, jf: 0, k: mask });
export const ret = (value: number): Instruction => ({ code: RET_K, jt: 0, jf: 0, k: value });

/** Where a branch goes: into code further on. */
export type Code = readonly Instruction[];

/** `if (A op k) yes else no`: both are whole programs that end by returning. */
export function branch(op: number, k: number, yes: Code, no: Code): Instruction[] {
  if (no.length <= MAX_JUMP) return [{ code: op, jt: no.length, jf: 0, k }, ...no, ...yes];
  // A conditional jump reaches 255 instructions, an unconditional one as far as it likes.
  return [{ code: op, jt: 0, jf: 1, k }, { code: JMP_JA, jt: 0, jf: 0, k: no.length }, ...no, ...yes];
}

/** As the kernel wants it: 8 bytes each, little endian. */
export function encode(program: Code): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, i * 8 + 4);
  }
  return bytes;
}

/** Runs a program over struct seccomp_data: what the kernel would decide. For tests, and for what is written about. */
export function run(program: Code, data: Uint8Array): { value: number; steps: number } {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let a = 0;
  for (let pc = 0, steps = 1; ; steps++) {
    const { code, jt, jf, k } = program[pc]!;
    pc++;
    if (code === RET_K) return { value: k >>> 0, steps };
    if (code === LD_W_ABS) a = view.getUint32(k, true);
    else if (code === ALU_AND_K) a = (a & k) >>> 0;
    else if (code === JMP_JA) pc += k;
    else if (code === JEQ) pc += a === k >>> 0 ? jt : jf;
    else if (code === JGT) pc += a > k >>> 0 ? jt : jf;
    else if (code === JGE) pc += a >= k >>> 0 ? jt : jf;
    else throw new Error(`instruction ${code} is not known`);
  }
}
