/**
 * Digests: the names of bytes. OCI Image Specification, descriptor.md "Digests".
 *
 * Only the registered algorithms are accepted, and the grammar is checked before a digest comes near a path or
 * an address: a digest with a slash in it once escaped a store (CVE-2024-3727).
 */
import { TslayerError } from '../errors.ts';

declare const brand: unique symbol;

/** `sha256:<64 hex>` (or sha512) of stored bytes. */
export type Digest = `${Algorithm}:${string}` & { readonly [brand]: 'digest' };
/** Digest of a layer's uncompressed tar. Not interchangeable with the digest of its compressed blob. */
export type DiffID = `${Algorithm}:${string}` & { readonly [brand]: 'diffID' };
/** Names a stack of layers; see chain-id.ts. */
export type ChainID = `${Algorithm}:${string}` & { readonly [brand]: 'chainID' };

export const ALGORITHMS = ['sha256', 'sha512'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

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

/** Gives hexadecimal digits. */
export type HashBytes = (algorithm: Algorithm, bytes: Uint8Array) => string;

// Not imported: many a command and thread needs no hash of Node's, which takes 6 ms to load.
let hashBytes: HashBytes = (algorithm, bytes) =>
  process.getBuiltinModule('node:crypto').createHash(algorithm).update(bytes).digest('hex');

/** Another way to the same digests, for a program that would load node:crypto for them alone. */
export function hashWith(other: HashBytes): void {
  hashBytes = other;
}

export function digestOf(bytes: Uint8Array | string, algorithm: Algorithm = 'sha256'): Digest {
  return `${algorithm}:${hashBytes(algorithm, typeof bytes === 'string' ? Buffer.from(bytes) : bytes)}` as Digest;
}

/** Bytes held in memory (manifests, configs) checked against their name. */
export function verifyBytes(bytes: Uint8Array, digest: Digest, what: string): void {
  const found = digestOf(bytes, algorithmOf(digest));
  if (found !== digest) {
    throw new TslayerError('DIGEST_MISMATCH', `${what}: expected ${digest}, found ${found}`);
  }
}
