/** Loading eBPF programs and attaching them to cgroups: bpf(2). */
import { closeSync } from 'node:fs';
import { check, hasErrno, native } from './libc.ts';
import { addressOf } from './memory.ts';

const cSyscall = native('long', 'syscall', ['long', 'int', 'bytes', 'uint']);
const NR_BPF = process.arch === 'x64' ? 321 : 280;
const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
const BPF_F_ALLOW_MULTI = 2;
const INSTRUCTION_BYTES = 8;
const LOG_BYTES = 64 * 1024;
const LICENSE = Buffer.from('Apache-2.0\0');

/** A device program's descriptor, accepted by the verifier; its complaint is the error's message. */
export function loadDeviceProgram(program: Uint8Array): number {
  try {
    return load(program, undefined);
  } catch (error) {
    if (error instanceof Error && hasErrno(error, 'EINVAL', 'EACCES')) error.message += ` (${complaint(program)})`;
    throw error;
  }
}

function load(program: Uint8Array, log: Uint8Array | undefined): number {
  const attributes = Buffer.alloc(72);
  attributes.writeUInt32LE(BPF_PROG_TYPE_CGROUP_DEVICE, 0);
  attributes.writeUInt32LE(program.length / INSTRUCTION_BYTES, 4);
  attributes.writeBigUInt64LE(addressOf(program), 8);
  attributes.writeBigUInt64LE(addressOf(LICENSE), 16);
  if (log) {
    attributes.writeUInt32LE(1, 24); // log level
    attributes.writeUInt32LE(log.length, 28);
    attributes.writeBigUInt64LE(addressOf(log), 32);
  }
  return check(cSyscall(NR_BPF, BPF_PROG_LOAD, attributes, attributes.length), 'bpf PROG_LOAD');
}

/** The last line of the verifier's log. Asked for only then: one that does not fit its buffer is an error itself. */
function complaint(program: Uint8Array): string {
  const log = Buffer.alloc(LOG_BYTES);
  try {
    closeSync(load(program, log));
  } catch {
    // As before.
  }
  const lines = log.subarray(0, log.indexOf(0)).toString().trim().split('\n');
  return lines.findLast((line) => !line.startsWith('processed ')) ?? '';
}

/** The cgroup keeps the program; both descriptors may be closed. */
export function attachDeviceProgram(cgroupFd: number, programFd: number): void {
  const attributes = Buffer.alloc(20);
  attributes.writeInt32LE(cgroupFd, 0);
  attributes.writeInt32LE(programFd, 4);
  attributes.writeUInt32LE(BPF_CGROUP_DEVICE, 8);
  attributes.writeUInt32LE(BPF_F_ALLOW_MULTI, 12);
  check(cSyscall(NR_BPF, BPF_PROG_ATTACH, attributes, attributes.length), 'bpf PROG_ATTACH');
}
