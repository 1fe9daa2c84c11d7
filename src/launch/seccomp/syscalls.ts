/** System calls by name and number, for each architecture that a process of this machine can speak. */
import { AARCH64 } from './tables/aarch64.ts';
import { ARM } from './tables/arm.ts';
import { I386 } from './tables/i386.ts';
import { X86_64 } from './tables/x86-64.ts';

/** One calling convention, as seccomp(2) sees it. */
export interface Abi {
  /** AUDIT_ARCH_*: what seccomp_data.arch holds. */
  readonly audit: number;
  /** libseccomp's name for it. */
  readonly name: string;
  /** Numbers from here on are another convention's under the same `audit` (x32). */
  readonly limit?: number;
  readonly numbers: ReadonlyMap<string, number>;
}

function parseTable(text: string): Map<string, number> {
  const numbers = new Map<string, number>();
  let next = 0;
  for (const word of text.split(/\s+/).filter(Boolean)) {
    if (word.endsWith(':')) next = Number(word.slice(0, -1));
    else numbers.set(word, next++);
  }
  return numbers;
}

const abi = (audit: number, name: string, table: string, limit?: number): Abi => ({
  audit,
  name,
  numbers: parseTable(table),
  ...(limit !== undefined && { limit }),
});

/** The machine's own convention first, then the 32-bit one that its kernel also serves. */
export function abisOf(arch: string): readonly Abi[] {
  if (arch === 'x64') {
    return [abi(0xc000003e, 'SCMP_ARCH_X86_64', X86_64, 0x40000000), abi(0x40000003, 'SCMP_ARCH_X86', I386)];
  }
  return [abi(0xc00000b7, 'SCMP_ARCH_AARCH64', AARCH64), abi(0x40000028, 'SCMP_ARCH_ARM', ARM)];
}
