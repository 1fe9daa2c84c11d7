/** Paths below a root, as bytes. */
import { TslayerError } from '../../src/errors.ts';

const SLASH = Buffer.from('/');

/** A path below a directory's path; the root's is empty. */
export function joinPath(directory: Buffer, name: Buffer): Buffer {
  return directory.length === 0 ? name : Buffer.concat([directory, SLASH, name]);
}

/** A container may nest directories until the kernel runs out of memory; a walk by recursion gives up before. */
const MAX_DEPTH = 4096;

export function requireShallow(depth: number): void {
  if (depth > MAX_DEPTH) throw new TslayerError('LIMIT_EXCEEDED', `directories over ${MAX_DEPTH} deep`);
}
