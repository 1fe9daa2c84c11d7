/** Checks bytes against their descriptor as they flow. */
import { createHash } from 'node:crypto';
import { TslayerError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, hexOf } from '../oci/digest.ts';

/** Passes `chunks` on, and throws SIZE_MISMATCH or DIGEST_MISMATCH at the latest after the last one. */
export async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  descriptor: Pick<Descriptor, 'digest' | 'size'>,
): AsyncGenerator<Uint8Array, void> {
  const { digest, size } = descriptor;
  const hash = createHash(algorithmOf(digest));
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > size) throw new TslayerError('SIZE_MISMATCH', `${digest} has more than its ${size} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  if (bytes < size) throw new TslayerError('SIZE_MISMATCH', `${digest} has ${bytes} bytes instead of ${size}`);
  const found = hash.digest('hex');
  if (found !== hexOf(digest)) {
    throw new TslayerError('DIGEST_MISMATCH', `expected ${digest}, found ${algorithmOf(digest)}:${found}`);
  }
}
