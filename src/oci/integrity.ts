/**
 * Digests as Subresource Integrity, the form that npm's tools speak: base64 instead of hex. A module of its own, so
 * that nobody else waits for ssri.
 */
import ssri from 'ssri';
import { TslayerError } from '../errors.ts';
import { algorithmOf, type DiffID, type Digest, hexOf, parseDigest } from './digest.ts';

/** The digest as Subresource Integrity (`sha256-base64`), the form that npm's tools speak. */
export function toIntegrity(digest: Digest | DiffID): string {
  return ssri.fromHex(hexOf(digest), algorithmOf(digest)).toString();
}

/** Reads Subresource Integrity (the strongest hash that OCI knows) as a digest. */
export function fromIntegrity(integrity: string): Digest {
  const parsed = ssri.parse(integrity);
  for (const algorithm of ['sha512', 'sha256'] as const) {
    const hash = parsed?.[algorithm]?.[0];
    if (hash) return parseDigest(`${algorithm}:${Buffer.from(hash.digest, 'base64').toString('hex')}`);
  }
  throw new TslayerError('MALFORMED', `no sha256 or sha512 in integrity ${JSON.stringify(integrity.slice(0, 160))}`);
}
