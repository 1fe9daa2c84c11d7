/** Which processors a thread may run on: sched_setaffinity(2). Sets are bits, little endian. */
import { readFileSync } from 'node:fs';
import { check, native } from './libc.ts';

const cGetcpu = native('int', 'sched_getcpu', []);
const cGetaffinity = native('int', 'sched_getaffinity', ['int', 'ulong', 'bytes']);
const cSetaffinity = native('int', 'sched_setaffinity', ['int', 'ulong', 'bytes']);

/** cpu_set_t: 1024 processors. */
const CPU_SET_BYTES = 128;

export type CpuSet = Uint8Array;

/**
 * The calling thread's, to be given back later. All that there could ever be, where it is kept from none: what is set
 * holds for good, and a processor that is plugged in tomorrow would be left out.
 */
export function ownProcessors(): CpuSet {
  const own = new Uint8Array(CPU_SET_BYTES);
  check(cGetaffinity(0, own.length, own), 'sched_getaffinity');
  const online = readFileSync('/sys/devices/system/cpu/online', 'utf8');
  return listed(online).every((cpu) => (own[cpu >> 3] ?? 0) & (1 << (cpu & 7))) ? own.fill(0xff) : own;
}

/** `0-3,8` */
function listed(text: string): number[] {
  return text.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

export function setProcessors(set: CpuSet): void {
  check(cSetaffinity(0, set.length, set), 'sched_setaffinity');
}

/** The one that the calling thread runs on at this moment. */
export function currentProcessor(): CpuSet {
  const set = new Uint8Array(CPU_SET_BYTES);
  const cpu = check(cGetcpu(), 'sched_getcpu');
  set[cpu >> 3] = 1 << (cpu & 7);
  return set;
}
