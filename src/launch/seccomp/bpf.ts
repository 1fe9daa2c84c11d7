/** Classic BPF, as seccomp takes it: decisions as a graph, and the graph as instructions. */

/** What a filter decides, and by what. Equal parts are shared: a graph, not a tree. */
export type Decision =
  | { readonly kind: 'return'; readonly value: number }
  /** Loads a word of struct seccomp_data, or masks what was loaded, and goes on. */
  | { readonly kind: 'load' | 'and'; readonly operand: number; readonly next: Decision }
  | { readonly kind: 'branch'; readonly op: number; readonly k: number; readonly yes: Decision; readonly no: Decision };

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

export const load = (operand: number, next: Decision): Decision => ({ kind: 'load', operand, next });
export const and = (operand: number, next: Decision): Decision => ({ kind: 'and', operand, next });
export const ret = (value: number): Decision => ({ kind: 'return', value });

/** `if (A op k) yes else no` */
export const branch = (op: number, k: number, yes: Decision, no: Decision): Decision => ({
  kind: 'branch',
  op,
  k,
  yes,
  no,
});

/** The instructions of a decision, and of all that it leads to. @param limit more of them are a RangeError */
export function assemble(decision: Decision, limit: number): Instruction[] {
  const assembler = new Assembler(limit);
  assembler.place(decision);
  return assembler.reversed.toReversed();
}

/** Works from the end: jumps only go forward, so what is jumped to is there already. */
class Assembler {
  readonly reversed: Instruction[] = [];
  readonly #places = new Map<Decision, number>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Where the decision's first instruction is, from the end. */
  place(decision: Decision): number {
    const known = this.#places.get(decision);
    // A return far away is cheaper written again than jumped to.
    if (known !== undefined && (decision.kind !== 'return' || this.#distance(known) < MAX_JUMP / 2)) return known;
    const at = this.#emit(decision);
    this.#places.set(decision, at);
    return at;
  }

  #emit(decision: Decision): number {
    if (decision.kind === 'return') return this.#push(RET_K, decision.value);
    if (decision.kind === 'branch') return this.#emitBranch(decision.op, decision.k, decision.yes, decision.no);
    this.#adjoin(this.place(decision.next));
    return this.#push(decision.kind === 'load' ? LD_W_ABS : ALU_AND_K, decision.operand);
  }

  #emitBranch(op: number, k: number, yes: Decision, no: Decision): number {
    const yesAt = this.place(yes);
    const noAt = this.#reachable(this.place(no));
    const nearYes = this.#reachable(yesAt);
    return this.#push(op, k, this.#distance(nearYes), this.#distance(noAt));
  }

  /** A conditional jump reaches 255 instructions, with room for two unconditional ones between; these any distance. */
  #reachable(place: number): number {
    return this.#distance(place) < MAX_JUMP - 2 ? place : this.#push(JMP_JA, this.#distance(place));
  }

  /** Makes the place the very next instruction. */
  #adjoin(place: number): void {
    if (this.#distance(place) > 0) this.#push(JMP_JA, this.#distance(place));
  }

  #distance(place: number): number {
    return this.reversed.length - place - 1;
  }

  #push(code: number, k: number, jt = 0, jf = 0): number {
    if (this.reversed.length === this.#limit) throw new RangeError(`more than ${this.#limit} instructions`);
    return this.reversed.push({ code, jt, jf, k }) - 1;
  }
}

/** As the kernel wants it: 8 bytes each, little endian. */
export function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, i * 8 + 4);
  }
  return bytes;
}
