/** CRC-32 of what files hold: every byte of every layer goes through it, so by the fastest way that is right here. */
import zlib from 'node:zlib';
import { isalCrc32 } from '../../sys/isal.ts';

type Crc32 = (bytes: Uint8Array, before: number) => number;

/** ISA-L's, where it is there and sums as zlib does, also what lies in memory between threads. */
function choose(): Crc32 {
  const isal = isalCrc32();
  return isal !== undefined && sumsRight(isal) ? isal : zlib.crc32;
}

function sumsRight(isal: Crc32): boolean {
  const sample = new Uint8Array(new SharedArrayBuffer(3000));
  sample.set(Uint8Array.from(sample, (_, i) => i * 7));
  const start = zlib.crc32(sample);
  try {
    return isal(sample, 0) === start && isal(sample.subarray(5), start) === zlib.crc32(sample.subarray(5), start);
  } catch {
    return false;
  }
}

let chosen: Crc32 | undefined;

/** @param before the sum of what comes before `bytes`; 0 for nothing */
export function crc32(bytes: Uint8Array, before: number): number {
  chosen ??= choose();
  return chosen(bytes, before);
}
