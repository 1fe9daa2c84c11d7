/** Installs a seccomp filter on the calling thread: seccomp(2). */
import { check, native } from './libc.ts';
import { addressOf } from './memory.ts';

const cSyscall = native('long', 'syscall', ['long', 'uint', 'uint', 'bytes']);
const NR_SECCOMP = process.arch === 'x64' ? 317 : 277;
const SECCOMP_SET_MODE_FILTER = 1;
const INSTRUCTION_BYTES = 8;

/** `program`: struct sock_filter instructions, 8 bytes each. Needs no_new_privs, or CAP_SYS_ADMIN. */
export function installFilter(program: Uint8Array): void {
  const fprog = Buffer.alloc(16);
  fprog.writeUInt16LE(program.length / INSTRUCTION_BYTES, 0);
  fprog.writeBigUInt64LE(addressOf(program), 8);
  check(cSyscall(NR_SECCOMP, SECCOMP_SET_MODE_FILTER, 0, fprog), 'seccomp');
}
