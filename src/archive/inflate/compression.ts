/** How a layer's blob is compressed: told by its first bytes. The media type is only a hint, and often wrong. */
import { TslayerError } from '../../errors.ts';

export type Compression = 'gzip' | 'zstd' | 'none';

/** Bytes that decide. */
export const MAGIC_BYTES = 6;

const UNSUPPORTED: readonly (readonly [string, readonly number[]])[] = [
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/** @param start the first MAGIC_BYTES of the blob, or all of a shorter one */
export function detectCompression(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return 'gzip';
  if (start[1] === 0xb5 && start[0] === 0x28 && start[2] === 0x2f && start[3] === 0xfd) return 'zstd';
  // A zstd stream may begin with a skippable frame: 0x184D2A50 to …5F (RFC 8878, 3.1.2).
  if (((start[0] ?? 0) & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18) return 'zstd';
  for (const [name, magic] of UNSUPPORTED) {
    if (magic.every((byte, i) => start[i] === byte)) {
      throw new TslayerError('UNSUPPORTED', `layer: compressed by ${name}, which OCI does not define`);
    }
  }
  return 'none';
}
