/** Capability sets of the calling thread: capget(2), capset(2) and prctl(2). Masks are the kernel's 64 bits. */
import { check, native } from './libc.ts';

const cCapset = native('int', 'capset', ['bytes', 'bytes']);
const cCapget = native('int', 'capget', ['bytes', 'bytes']);
const cPrctl = native('int', 'prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);

const VERSION_3 = 0x20080522;
const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_CAP_AMBIENT = 47;
const AMBIENT_RAISE = 2;
const AMBIENT_CLEAR_ALL = 4;

export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

function header(): Uint8Array {
  return new Uint8Array(new Uint32Array([VERSION_3, 0]).buffer);
}

export function getCapabilities(): CapabilitySets {
  const data = new Uint32Array(6);
  check(cCapget(header(), new Uint8Array(data.buffer)), 'capget');
  const join = (low: number): bigint => BigInt(data[low]!) | (BigInt(data[low + 3]!) << 32n);
  return { effective: join(0), permitted: join(1), inheritable: join(2) };
}

export function setCapabilities(sets: CapabilitySets): void {
  const words = [sets.effective, sets.permitted, sets.inheritable];
  const data = new Uint32Array([
    ...words.map((word) => Number(word & 0xffffffffn)),
    ...words.map((word) => Number(word >> 32n)),
  ]);
  check(cCapset(header(), new Uint8Array(data.buffer)), 'capset');
}

/** Takes everything but `keep` out of the bounding set: no program executed later can gain it. */
export function limitBoundingSet(keep: bigint): void {
  for (let bit = 0; bit < 64; bit++) {
    const present = cPrctl(PR_CAPBSET_READ, bit, 0, 0, 0);
    if (present < 0) return; // past the kernel's last capability
    if (present === 1 && !((keep >> BigInt(bit)) & 1n)) {
      check(cPrctl(PR_CAPBSET_DROP, bit, 0, 0, 0), 'prctl CAPBSET_DROP');
    }
  }
}

/** The ambient set: what a program executed without privilege keeps. Must be permitted and inheritable already. */
export function setAmbientCapabilities(mask: bigint): void {
  check(cPrctl(PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0, 0, 0), 'prctl CAP_AMBIENT');
  for (let bit = 0; bit < 64; bit++) {
    if ((mask >> BigInt(bit)) & 1n) check(cPrctl(PR_CAP_AMBIENT, AMBIENT_RAISE, bit, 0, 0), 'prctl CAP_AMBIENT');
  }
}
