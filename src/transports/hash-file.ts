/** Looks into files of an archive that do not say what they are. */
import { createHash } from 'node:crypto';
import { TslayerError } from '../errors.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import type { Compression } from '../oci/media-types.ts';
import type { FileTree } from './file-tree.ts';

export async function hashFile(tree: FileTree, name: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of tree.open(name)) hash.update(chunk);
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

/** By the first bytes, as docker's own loader does. */
export async function sniffCompression(tree: FileTree, name: string): Promise<Compression> {
  let head: Uint8Array = new Uint8Array();
  for await (const chunk of tree.open(name)) {
    head = chunk.subarray(0, 6);
    break;
  }
  const magic = Buffer.from(head).toString('hex');
  if (magic.startsWith('1f8b')) return 'gzip';
  if (magic.startsWith('28b52ffd')) return 'zstd';
  if (magic.startsWith('fd377a58') || magic.startsWith('425a68')) {
    throw new TslayerError('UNSUPPORTED', `the layer ${name} in ${tree.label} is compressed with xz or bzip2`);
  }
  return 'none';
}
