/** Capability sets of the calling thread: capget(2), capset(2). Masks are the kernel's 64 bits. */
import { check, native } from './libc.ts';

const cCapset = native('int', 'capset', ['bytes', 'bytes']);
const cCapget = native('int', 'capget', ['bytes', 'bytes']);

const VERSION_3 = 0x20080522;

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
