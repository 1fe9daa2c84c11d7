/** Makes a layer's blob of changes: tar → sha256 (diffID) → compression → sha256 (digest), in one go. */
import { throwIfAborted } from '../errors.ts';
import { asDiffID, type DiffID, type Digest, parseDigest } from '../oci/digest.ts';
import { OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from '../oci/media-types.ts';
import { openHash } from '../sys/hash.ts';
import { type CompressOptions, compress } from './compress/compress.ts';
import type { Compression } from './inflate/compression.ts';
import { type TarItem, type TarWriterOptions, writeTar } from './tar-writer.ts';

export type PackOptions = CompressOptions & TarWriterOptions;

export interface PackedLayer {
  /** OCI's media type of the blob. */
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the blob. */
  readonly size: number;
  readonly diffId: DiffID;
  /** Bytes of the tar. */
  readonly tarSize: number;
}

const MEDIA_TYPES: Readonly<Record<Compression, string>> = {
  none: OCI_LAYER,
  gzip: OCI_LAYER_GZIP,
  zstd: OCI_LAYER_ZSTD,
};

/** Packs the items (a driver's changes) and hands the blob's bytes to `write`, in order. */
export function packLayer(
  items: AsyncIterable<TarItem> | Iterable<TarItem>,
  options: PackOptions,
  write: (chunk: Uint8Array) => Promise<unknown> | undefined,
): Promise<PackedLayer> {
  return packTar(writeTar(items, options), options, write);
}

/** The same for a tar that is there already (`import`). */
export async function packTar(
  tar: AsyncIterable<Uint8Array>,
  options: PackOptions,
  write: (chunk: Uint8Array) => Promise<unknown> | undefined,
): Promise<PackedLayer> {
  const [diff, blob] = [new Tally(), new Tally()];
  for await (const chunk of blob.watch(compress(diff.watch(tar), options))) {
    throwIfAborted(options.signal);
    await write(chunk);
  }
  const digest = parseDigest(blob.digest());
  const mediaType = MEDIA_TYPES[options.compression];
  return { mediaType, digest, size: blob.size, diffId: asDiffID(diff.digest()), tarSize: diff.size };
}

/** Counts and hashes what flows by. */
class Tally {
  size = 0;
  readonly #hash = openHash('sha256');

  async *watch(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#hash.update(chunk);
      this.size += chunk.length;
      yield chunk;
    }
  }

  digest(): string {
    return `sha256:${this.#hash.digest().toString('hex')}`;
  }
}
