/**
 * Digests: the names of bytes. OCI Image Specification, descriptor.md "Digests".
 *
 * Only the registered algorithms are accepted, and the grammar is checked before a digest comes near a path or
 * an address: a digest with a slash in it once escaped a store (CVE-2024-3727).
 */
import { createHash } from 'node:crypto';
import { TslayerError } from '../errors.ts';

declare const brand: unique symbol;

/** `sha256:<64 hex>` (or sha512) of stored bytes. */
export type Digest = `${Algorithm}:${string}` & { readonly [brand]: 'digest' };
/** Digest of a layer's uncompressed tar. Not interchangeable with the digest of its compressed blob. */
export type DiffID = `${Algorithm}:${string}` & { readonly [brand]: 'diffID' };
/** Names a stack of layers; see chain-id.ts. */
export type ChainID = `${Algorithm}:${string}` & { readonly [brand]: 'chainID' };

export type Algorithm = 'sha256' | 'sha512';

const GRAMMAR = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && GRAMMAR.test(text);
}

export function parseDigest(text: unknown): Digest {
  if (isDigest(text)) return text;
  throw new TslayerError('MALFORMED', `not a digest: ${JSON.stringify(text)?.slice(0, 160)}`);
}

/** The same bytes' name, seen as that of an uncompressed layer. */
export function asDiffID(digest: Digest | string): DiffID {
  return parseDigest(digest) as string as DiffID;
}

export function asChainID(digest: Digest | string): ChainID {
  return parseDigest(digest) as string as ChainID;
}

export function algorithmOf(digest: Digest | DiffID | ChainID): Algorithm {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

export function hexOf(digest: Digest | DiffID | ChainID): string {
  return digest.slice(digest.indexOf(':') + 1);
}

export function digestOf(bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest;
}

/** Another way to SHA-256, in hexadecimal digits. */
export type Sha256 = (bytes: Uint8Array) => string;

/** Bytes held in memory (manifests, configs) checked against their name. */
export function verifyBytes(bytes: Uint8Array, digest: Digest, what: string, sha256?: Sha256): void {
  const algorithm = algorithmOf(digest);
  const found = sha256 && algorithm === 'sha256' ? `sha256:${sha256(bytes)}` : digestOf(bytes, algorithm);
  if (found !== digest) {
    throw new TslayerError('DIGEST_MISMATCH', `${what}: expected ${digest}, found ${found}`);
  }
}
