/**
 * SHA-2 by the OpenSSL that is in every Node, or beside it: node:crypto, which calls the same functions, takes 6 ms to
 * load, and again in every worker thread. For those that have loaded FFI anyway; node:crypto is asked for where it is
 * needed, instead of being imported.
 */
import { type Algorithm, hashWith } from '../oci/digest.ts';
import { type Native, native } from './libc.ts';

/** Bytes that flow by, and in the end their digest. */
export interface Hash {
  update(bytes: Uint8Array): void;
  /** Once, at the end. */
  digest(): Buffer;
}

export interface Functions {
  readonly init: Native;
  readonly update: Native;
  readonly final: Native;
  /** Bytes of a digest. */
  readonly length: number;
}

/** More than SHA512_CTX has, the larger of the two: 216 bytes. openssl/sha.h. */
const CONTEXT = 512;
/** FIPS 180-2, appendix B: what these three bytes give shows that a library does what it is taken for. */
const SAMPLE = Buffer.from('abc');
const EXPECTED: Readonly<Record<Algorithm, string>> = { sha256: 'ba7816bf', sha512: 'ddaf35a1' };

const found = new Map<Algorithm, Functions | undefined>();

/** Undefined in a Node that does not show its OpenSSL, or one of another kind. */
function functionsOf(algorithm: Algorithm): Functions | undefined {
  if (!found.has(algorithm)) found.set(algorithm, findFunctions(algorithm));
  return found.get(algorithm);
}

/** @param find declares a function of the process; throws when there is none */
export function findFunctions(algorithm: Algorithm, find: typeof native = native): Functions | undefined {
  const name = algorithm.toUpperCase();
  try {
    const functions: Functions = {
      init: find('int', `${name}_Init`, ['bytes']),
      update: find('int', `${name}_Update`, ['bytes', 'bytes', 'ulong']),
      final: find('int', `${name}_Final`, ['bytes', 'bytes']),
      length: algorithm === 'sha256' ? 32 : 64,
    };
    const sample = new ForeignHash(functions);
    sample.update(SAMPLE);
    return sample.digest().toString('hex').startsWith(EXPECTED[algorithm]) ? functions : undefined;
  } catch {
    return undefined;
  }
}

class ForeignHash implements Hash {
  readonly #functions: Functions;
  readonly #context = Buffer.alloc(CONTEXT);

  constructor(functions: Functions) {
    this.#functions = functions;
    must(functions.init(this.#context));
  }

  update(bytes: Uint8Array): void {
    must(this.#functions.update(this.#context, bytes, bytes.length));
  }

  digest(): Buffer {
    const digest = Buffer.alloc(this.#functions.length);
    must(this.#functions.final(digest, this.#context));
    return digest;
  }
}

/** 1 says that it was done, as everywhere in OpenSSL. */
function must(status: number): void {
  if (status !== 1) throw new Error('OpenSSL would not hash');
}

export function openHash(algorithm: Algorithm): Hash {
  return hashBy(algorithm, functionsOf(algorithm));
}

/** @param functions undefined: there are none here */
export function hashBy(algorithm: Algorithm, functions: Functions | undefined): Hash {
  return functions ? new ForeignHash(functions) : process.getBuiltinModule('node:crypto').createHash(algorithm);
}

/** The digest of bytes in memory, in hexadecimal digits. */
export function hashOf(algorithm: Algorithm, bytes: Uint8Array): string {
  const hash = openHash(algorithm);
  hash.update(bytes);
  return hash.digest().toString('hex');
}

// Whoever loaded this has FFI, and needs node:crypto for digests of small things no more.
hashWith(hashOf);
