/** CRC-32C (Castagnoli), bit-reflected, as Linux's crc32c(): no inversion before or after (RFC 3720, B.4). */

const POLYNOMIAL = 0x82f63b78;

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

export function crc32c(seed: number, bytes: Uint8Array): number {
  let crc = seed;
  // By index: most of this runs before V8 has compiled it, when an iterator's steps are calls.
  for (let i = 0; i < bytes.length; i++) crc = table[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}
