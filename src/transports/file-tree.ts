/**
 * Files by name, out of a directory or a tar: what the readers of image layouts and Docker archives need of either.
 * No name ever leads outside, and nothing is ever unpacked.
 */
import { TslayerError } from '../errors.ts';

export interface FileTree extends AsyncDisposable {
  /** For messages. */
  readonly label: string;
  /** Size in bytes of a regular file; undefined when there is none of that name. UNSAFE_LAYER when a link leads out. */
  size(name: string): Promise<number | undefined>;
  /** Bytes of a regular file from `offset`. NOT_FOUND when there is none. */
  open(name: string, offset?: number): AsyncIterable<Uint8Array>;
}

/** A small file whole. Undefined when it is not there, LIMIT_EXCEEDED when it is larger than `limit` bytes. */
export async function readSmall(tree: FileTree, name: string, limit: number): Promise<Buffer | undefined> {
  const size = await tree.size(name);
  if (size === undefined) return undefined;
  if (size > limit) {
    throw new TslayerError('LIMIT_EXCEEDED', `${name} in ${tree.label} has ${size} bytes, more than ${limit}`);
  }
  const chunks: Uint8Array[] = [];
  // A directory's file may grow while it is read: never take more than was looked at.
  let left = size;
  for await (const chunk of tree.open(name)) {
    chunks.push(chunk.subarray(0, left));
    left -= chunk.length;
    if (left <= 0) break;
  }
  return Buffer.concat(chunks);
}

/**
 * A name without `.` components and doubled slashes; undefined when it is absolute or climbs out. `base` is the
 * directory that a relative link is read in.
 */
export function normalizeName(name: string, base = ''): string | undefined {
  if (name.startsWith('/') || name.includes('\0')) return undefined;
  const parts = base === '' ? [] : base.split('/');
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join('/');
}

export function leavesArchive(label: string, name: string): TslayerError {
  return new TslayerError('UNSAFE_LAYER', `${label}: ${JSON.stringify(name.slice(0, 200))} leads out of the archive`);
}
